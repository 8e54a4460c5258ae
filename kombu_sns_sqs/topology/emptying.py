"""Emptying a queue: by a purge, and by hand where there was one already, as SQS purges only once a minute."""

from __future__ import annotations

from kombu_sns_sqs import quotas
from kombu_sns_sqs.aws.control import ControlPlane
from kombu_sns_sqs.errors import exception_for
from kombu_sns_sqs.identity import Identity


def empty(control: ControlPlane, identity: Identity, url: str) -> None:
    """Remove all messages.

    Raises:
        Error: a call failed.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_PurgeQueue.html
    """
    failure = control.call(identity, "sqs", "purge_queue", QueueUrl=url).failure
    if failure is None:
        return
    if failure.code != "PurgeQueueInProgress":
        raise exception_for(failure)
    _take_all(control, identity, url)


def _take_all(control: ControlPlane, identity: Identity, url: str) -> None:
    """Receive and delete until nothing comes any more."""
    size = quotas.MAX_RECEIVE_MESSAGES
    while True:
        answer = control.ask(
            identity, "sqs", "receive_message", QueueUrl=url, MaxNumberOfMessages=size, WaitTimeSeconds=1
        )
        entries = [
            {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
            for number, message in enumerate(answer.get("Messages") or ())
        ]
        if not entries:
            return
        control.ask(identity, "sqs", "delete_message_batch", QueueUrl=url, Entries=entries)
