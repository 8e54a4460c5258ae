"""The requests to SQS, in AWS JSON 1.0.

The queue URL travels in the body and is never taken apart: its form differs between partitions and emulators.
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-making-api-requests-json.html
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, Final

from kombu_sns_sqs.aws.operation import BatchResult, Operation, SendEntry
from kombu_sns_sqs.aws.reply import bare_code
from kombu_sns_sqs.errors import Failure, MessageError, kind_of
from kombu_sns_sqs.json_text import writer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from kombu_sns_sqs.identity import Identity

__all__ = (
    "change_visibility",
    "change_visibility_batch",
    "delete_message",
    "delete_message_batch",
    "receive_message",
    "send_message",
    "send_message_batch",
)

#: Seconds the answer to a long poll may come after the end of the wait.
_POLL_MARGIN: Final = 5.0
_written: Final = writer(json.JSONEncoder(ensure_ascii=False, separators=(",", ":")))


def send_message(
    *,
    identity: Identity,
    queue_url: str,
    body: str,
    attributes: Mapping[str, Mapping[str, Any]],
    delay_seconds: int | None = None,
    group_id: str | None = None,
    deduplication_id: str | None = None,
    system_attributes: Mapping[str, Mapping[str, Any]] | None = None,
) -> Operation:
    """SendMessage; the value is the message id.

    ``delay_seconds``: 0 to 900, on standard queues only.
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
    """
    message = _message(body, attributes, delay_seconds, group_id, deduplication_id, system_attributes)
    request = _written({"QueueUrl": queue_url, **message})
    return _operation(identity, "SendMessage", request, parse=_message_id, repeatable=deduplication_id is not None)


def send_message_batch(*, identity: Identity, queue_url: str, entries: Sequence[SendEntry]) -> Operation:
    """SendMessageBatch of at most 10 entries; the value is a :class:`BatchResult` of message ids.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
    """
    rows = [{"Id": entry["id"], **_entry(entry)} for entry in entries]
    repeatable = all(entry.get("deduplication_id") for entry in entries)
    return _batch(identity, "SendMessageBatch", queue_url, rows, repeatable=repeatable)


def receive_message(
    *,
    identity: Identity,
    queue_url: str,
    max_messages: int,
    wait_seconds: int,
    visibility_timeout: int | None = None,
) -> Operation:
    """ReceiveMessage; the value is a list of messages as SQS gives them, binary attribute values decoded to bytes.

    ``max_messages``: 1 to 10; ``wait_seconds``: 0 to 20; ``visibility_timeout``: 0 to 43,200, None: the queue's own.
    Repeatable: what a lost answer held comes back when its visibility timeout ends.
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html
    """
    request: dict[str, Any] = {
        "QueueUrl": queue_url,
        "MaxNumberOfMessages": max_messages,
        "WaitTimeSeconds": wait_seconds,
        "MessageAttributeNames": ["All"],
        "MessageSystemAttributeNames": ["All"],
    }
    if visibility_timeout is not None:
        request["VisibilityTimeout"] = visibility_timeout
    return _operation(
        identity,
        "ReceiveMessage",
        _written(request),
        parse=_messages,
        repeatable=True,
        read_timeout=wait_seconds + _POLL_MARGIN,
        dated=True,
    )


def delete_message(*, identity: Identity, queue_url: str, receipt_handle: str) -> Operation:
    """DeleteMessage; the value is None.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessage.html
    """
    request = {"QueueUrl": queue_url, "ReceiptHandle": receipt_handle}
    return _operation(identity, "DeleteMessage", _written(request), parse=_nothing, repeatable=True)


def delete_message_batch(*, identity: Identity, queue_url: str, entries: Mapping[str, str]) -> Operation:
    """DeleteMessageBatch of at most 10 receipt handles by entry id; the value is a :class:`BatchResult`.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessageBatch.html
    """
    rows = [{"Id": entry, "ReceiptHandle": handle} for entry, handle in entries.items()]
    return _batch(identity, "DeleteMessageBatch", queue_url, rows, repeatable=True)


def change_visibility(*, identity: Identity, queue_url: str, receipt_handle: str, seconds: int) -> Operation:
    """ChangeMessageVisibility to ``seconds`` from now, 0 to 43,200; the value is None.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html
    """
    request = {"QueueUrl": queue_url, "ReceiptHandle": receipt_handle, "VisibilityTimeout": seconds}
    return _operation(identity, "ChangeMessageVisibility", _written(request), parse=_nothing, repeatable=True)


def change_visibility_batch(*, identity: Identity, queue_url: str, entries: Mapping[str, tuple[str, int]]) -> Operation:
    """ChangeMessageVisibilityBatch of at most 10 (handle, seconds) by entry id; the value: :class:`BatchResult`.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibilityBatch.html
    """
    rows = [
        {"Id": entry, "ReceiptHandle": handle, "VisibilityTimeout": seconds}
        for entry, (handle, seconds) in entries.items()
    ]
    return _batch(identity, "ChangeMessageVisibilityBatch", queue_url, rows, repeatable=True)


def _batch(
    identity: Identity, action: str, queue_url: str, rows: list[dict[str, Any]], *, repeatable: bool
) -> Operation:
    request = _written({"QueueUrl": queue_url, "Entries": rows})
    return _operation(identity, action, request, parse=lambda answer: _result(action, answer), repeatable=repeatable)


def _operation(
    identity: Identity,
    action: str,
    request: str,
    *,
    parse: Callable[[bytes], Any],
    repeatable: bool,
    read_timeout: float | None = None,
    dated: bool = False,
) -> Operation:
    headers = (
        ("Content-Type", "application/x-amz-json-1.0"),
        ("X-Amz-Target", f"AmazonSQS.{action}"),
        # Asks for the error codes of the Query protocol in a header, as botocore does: they tell more causes apart.
        ("x-amzn-query-mode", "true"),
    )
    # UTF-8 and not ASCII escapes: the request is then as long as what AWS counts, a half to a third for most scripts,
    # and a lone surrogate, which AWS refuses, is found here.
    try:
        body = request.encode()
    except UnicodeEncodeError as exc:
        raise MessageError(f"half a surrogate pair at position {exc.start} of the request: no legal text") from exc
    return Operation(
        service="sqs",
        action=action,
        identity=identity,
        headers=headers,
        body=body,
        parse=parse,
        repeatable=repeatable,
        read_timeout=read_timeout,
        dated=dated,
    )


def _entry(entry: SendEntry) -> dict[str, Any]:
    return _message(
        entry["body"],
        entry.get("attributes"),
        entry.get("delay_seconds"),
        entry.get("group_id"),
        entry.get("deduplication_id"),
        entry.get("system_attributes"),
    )


def _message(
    body: str,
    attributes: Mapping[str, Mapping[str, Any]] | None,
    delay_seconds: int | None,
    group_id: str | None,
    deduplication_id: str | None,
    system_attributes: Mapping[str, Mapping[str, Any]] | None,
) -> dict[str, Any]:
    message: dict[str, Any] = {"MessageBody": body}
    if attributes:
        message["MessageAttributes"] = {name: _encoded(attribute) for name, attribute in attributes.items()}
    if system_attributes:
        message["MessageSystemAttributes"] = system_attributes
    if delay_seconds is not None:
        message["DelaySeconds"] = delay_seconds
    if group_id is not None:
        message["MessageGroupId"] = group_id
    if deduplication_id is not None:
        message["MessageDeduplicationId"] = deduplication_id
    return message


def _encoded(attribute: Mapping[str, Any]) -> Mapping[str, Any]:
    if "BinaryValue" not in attribute:
        return attribute
    return {**attribute, "BinaryValue": base64.b64encode(attribute["BinaryValue"]).decode("ascii")}


def _message_id(answer: bytes) -> str:
    # Taken out of the text, as nothing else in it is of interest, and each ``delay()`` waits for it.
    _, _, rest = answer.partition(b'"MessageId"')
    found = rest.split(b'"', 2)
    if len(found) <= 2:  # noqa: PLR2004  # the text between two quotes has one on either side
        raise KeyError("MessageId")
    return found[1].decode("ascii")


def _nothing(_answer: bytes) -> None:
    return None


def _messages(answer: bytes) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = json.loads(answer or b"{}").get("Messages") or []
    for message in messages:
        for attribute in (message.get("MessageAttributes") or {}).values():
            if attribute.get("BinaryValue") is not None:
                attribute["BinaryValue"] = base64.b64decode(attribute["BinaryValue"], validate=True)
    return messages


def _result(action: str, answer: bytes) -> BatchResult:
    result = json.loads(answer)
    return BatchResult(
        succeeded={row["Id"]: row.get("MessageId") or "" for row in result.get("Successful") or ()},
        failed={row["Id"]: _entry_failure(action, row) for row in result.get("Failed") or ()},
    )


def _entry_failure(action: str, row: Mapping[str, Any]) -> Failure:
    code = str(row["Code"])
    # The status that a request of its own would have got: it is what classifies a code we do not know.
    status = 400 if row.get("SenderFault") else 500
    return Failure(
        kind=kind_of(code, status),
        code=bare_code(code),
        message=row.get("Message") or "",
        status=status,
        action=action,
    )
