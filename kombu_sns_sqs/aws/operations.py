"""The requests of the data plane: one builder each, all of them pure.

They are written by hand because they are few, and because a botocore client on the way of every message costs more
than the request itself. ``tests/upstream/test_botocore.py`` compares each with what botocore would send.
"""

from __future__ import annotations

from kombu_sns_sqs.aws.operation import BatchResult, Operation, SendEntry
from kombu_sns_sqs.aws.reply import parse_failure
from kombu_sns_sqs.aws.sns import publish, publish_batch
from kombu_sns_sqs.aws.sqs import (
    change_visibility,
    change_visibility_batch,
    delete_message,
    delete_message_batch,
    receive_message,
    send_message,
    send_message_batch,
)

__all__ = (
    "BatchResult",
    "Operation",
    "SendEntry",
    "change_visibility",
    "change_visibility_batch",
    "delete_message",
    "delete_message_batch",
    "parse_failure",
    "publish",
    "publish_batch",
    "receive_message",
    "send_message",
    "send_message_batch",
)
