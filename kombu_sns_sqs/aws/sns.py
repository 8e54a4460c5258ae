"""The requests to SNS, in the Query protocol: a form goes out, XML comes back.

https://docs.aws.amazon.com/sns/latest/api/welcome.html
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from kombu_sns_sqs.aws import xml
from kombu_sns_sqs.aws.operation import BatchResult, Operation, SendEntry
from kombu_sns_sqs.aws.reply import bare_code
from kombu_sns_sqs.errors import Failure, MessageError, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from xml.etree.ElementTree import Element

    from kombu_sns_sqs.identity import Identity

__all__ = ("publish", "publish_batch")

_ENTRIES = "PublishBatchRequestEntries"


def publish(
    *,
    identity: Identity,
    topic_arn: str,
    body: str,
    attributes: Mapping[str, Mapping[str, Any]],
    group_id: str | None = None,
    deduplication_id: str | None = None,
    unsigned: tuple[tuple[str, str], ...] = (),
) -> Operation:
    """Publish; the value is the message id. ``unsigned``: headers of the request, such as X-Ray's.

    https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
    """
    entry = SendEntry(id="", body=body, attributes=attributes, group_id=group_id, deduplication_id=deduplication_id)
    return _operation(
        identity,
        "Publish",
        {"TopicArn": topic_arn, **_message("", entry)},
        parse=lambda answer: xml.text(xml.root(answer), "PublishResult/MessageId"),
        repeatable=deduplication_id is not None,
        unsigned=unsigned,
    )


def publish_batch(
    *,
    identity: Identity,
    topic_arn: str,
    entries: Sequence[SendEntry],
    unsigned: tuple[tuple[str, str], ...] = (),
) -> Operation:
    """PublishBatch of at most 10 entries; the value is a :class:`BatchResult` of message ids.

    ``unsigned``: headers of the request, such as X-Ray's.

    https://docs.aws.amazon.com/sns/latest/api/API_PublishBatch.html
    """
    form = {"TopicArn": topic_arn}
    for number, entry in enumerate(entries, start=1):
        prefix = f"{_ENTRIES}.member.{number}."
        form[f"{prefix}Id"] = entry["id"]
        form.update(_message(prefix, entry))
    repeatable = all(entry.get("deduplication_id") for entry in entries)
    return _operation(identity, "PublishBatch", form, parse=_result, repeatable=repeatable, unsigned=unsigned)


def _operation(
    identity: Identity,
    action: str,
    form: dict[str, str],
    *,
    parse: Callable[[bytes], Any],
    repeatable: bool,
    unsigned: tuple[tuple[str, str], ...],
) -> Operation:
    return Operation(
        service="sns",
        action=action,
        identity=identity,
        headers=(("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"),),
        body=_encoded({"Action": action, "Version": "2010-03-31", **form}),
        parse=parse,
        repeatable=repeatable,
        unsigned=unsigned,
    )


def _encoded(form: dict[str, str]) -> bytes:
    try:
        return urlencode(form).encode("ascii")
    except UnicodeEncodeError as exc:
        raise MessageError(f"half a surrogate pair at position {exc.start} of a field: no legal text") from exc


def _message(prefix: str, entry: SendEntry) -> dict[str, str]:
    form = {f"{prefix}Message": entry["body"]}
    optional = {"MessageGroupId": entry.get("group_id"), "MessageDeduplicationId": entry.get("deduplication_id")}
    form.update((prefix + name, value) for name, value in optional.items() if value is not None)
    for number, (name, attribute) in enumerate((entry.get("attributes") or {}).items(), start=1):
        place = f"{prefix}MessageAttributes.entry.{number}."
        form[f"{place}Name"] = name
        form.update((f"{place}Value.{field}", _field(value)) for field, value in attribute.items())
    return form


def _field(value: str | bytes) -> str:
    return value if isinstance(value, str) else base64.b64encode(value).decode("ascii")


def _result(answer: bytes) -> BatchResult:
    document = xml.root(answer)
    if document.tag.rpartition("}")[2] != "PublishBatchResponse":
        raise KeyError("PublishBatchResponse")
    succeeded = xml.members(document, "PublishBatchResult/Successful")
    failed = xml.members(document, "PublishBatchResult/Failed")
    return BatchResult(
        succeeded={xml.text(row, "Id"): xml.text(row, "MessageId") for row in succeeded},
        failed={xml.text(row, "Id"): _entry_failure(row) for row in failed},
    )


def _entry_failure(row: Element) -> Failure:
    code = xml.text(row, "Code")
    sender_fault = row.find("{*}SenderFault")
    status = 400 if sender_fault is not None and sender_fault.text == "true" else 500
    message = row.find("{*}Message")
    return Failure(
        kind=kind_of(code, status),
        code=bare_code(code),
        message=(message.text or "") if message is not None else "",
        status=status,
        action="PublishBatch",
    )
