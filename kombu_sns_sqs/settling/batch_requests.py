"""The request that a batch of settlements is sent in. Pure."""

from __future__ import annotations

from kombu_sns_sqs.aws import operations
from kombu_sns_sqs.aws.operation import Operation
from kombu_sns_sqs.settling.outbox import Entry, Target, Verb


def request_of(target: Target, entries: list[Entry]) -> Operation:
    """Make the request; its entries are numbered from 0."""
    verb, queue_url = target
    identity = entries[0].delivery.identity
    if verb is Verb.DELETE:
        handles = {str(number): entry.receipt_handle for number, entry in enumerate(entries)}
        return operations.delete_message_batch(identity=identity, queue_url=queue_url, entries=handles)
    changes = {str(number): (entry.receipt_handle, entry.seconds) for number, entry in enumerate(entries)}
    return operations.change_visibility_batch(identity=identity, queue_url=queue_url, entries=changes)
