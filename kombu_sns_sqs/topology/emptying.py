"""Emptying a queue by hand: SQS purges only once a minute."""

from __future__ import annotations

from kombu_sns_sqs import quotas
from kombu_sns_sqs.aws.control import ControlPlane
from kombu_sns_sqs.identity import Identity


def empty(control: ControlPlane, identity: Identity, url: str) -> None:
    """Receive and delete until nothing comes any more.

    Raises:
        Error: a call failed.
    """
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
