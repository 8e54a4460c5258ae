"""The requests of the data plane: what their answers are read as, and what is refused before it is sent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kombu_sns_sqs.aws import operations
from kombu_sns_sqs.aws.operation import BatchResult
from kombu_sns_sqs.aws.reply import read_reply
from kombu_sns_sqs.errors import Kind, MessageError
from kombu_sns_sqs.identity import Identity

if TYPE_CHECKING:
    from kombu_sns_sqs.aws.operation import Operation

WHO = Identity(region="eu-central-1")
SEND = operations.send_message(identity=WHO, queue_url="q", body="x", attributes={})
SEND_BATCH = operations.send_message_batch(identity=WHO, queue_url="q", entries=[{"id": "1", "body": "x"}])
RECEIVE = operations.receive_message(identity=WHO, queue_url="q", max_messages=1, wait_seconds=20)
DELETE = operations.delete_message(identity=WHO, queue_url="q", receipt_handle="h")
DELETE_BATCH = operations.delete_message_batch(identity=WHO, queue_url="q", entries={"1": "h"})
RENEW = operations.change_visibility(identity=WHO, queue_url="q", receipt_handle="h", seconds=60)
PUBLISH = operations.publish(identity=WHO, topic_arn="t", body="x", attributes={})
PUBLISH_BATCH = operations.publish_batch(identity=WHO, topic_arn="t", entries=[{"id": "1", "body": "x"}])

PUBLISHED = b"""<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/">
<PublishResult><MessageId>m-1</MessageId></PublishResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>
</PublishResponse>"""
PUBLISHED_BATCH = b"""<PublishBatchResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishBatchResult>
<Failed><member><Id>b</Id><Code>Throttled</Code><Message>a &amp; b</Message><SenderFault>false</SenderFault></member>
<member><Id>c</Id><Code>Novel</Code><SenderFault>true</SenderFault></member></Failed>
<Successful><member><Id>a</Id><MessageId>m-1</MessageId></member></Successful>
</PublishBatchResult></PublishBatchResponse>"""


def value(operation: Operation, answer: bytes) -> Any:
    """Read a good answer."""
    reply = read_reply(operation, 200, {}, answer)
    assert reply.ok, reply.failure
    return reply.value


def test_a_send_yields_the_message_id() -> None:
    """Of both services, wherever in the answer it stands."""
    assert value(SEND, b'{"MessageId":"m-1","MD5OfMessageBody":"9dd4e461268c8034f5c8564e155c67a6"}') == "m-1"
    assert value(SEND, b'{"MD5OfMessageBody" : "9dd4", "MessageId" : "m-1"}\n') == "m-1"
    assert value(PUBLISH, PUBLISHED) == "m-1"


def test_a_receive_yields_messages_with_binary_attributes_decoded() -> None:
    """The rest of a message is left as SQS gives it."""
    message = {
        "MessageId": "m",
        "Body": "é",
        "MessageAttributes": {
            "raw": {"DataType": "Binary", "BinaryValue": "AP8="},
            "text": {"DataType": "String", "StringValue": "AP8="},
        },
    }
    (read,) = value(RECEIVE, json.dumps({"Messages": [message]}).encode())
    assert read["MessageAttributes"]["raw"]["BinaryValue"] == b"\x00\xff"
    assert read["MessageAttributes"]["text"] == message["MessageAttributes"]["text"]
    assert read["Body"] == "é"


@pytest.mark.parametrize("answer", [b"{}", b'{"Messages":[]}', b'{"Messages":null}', b""])
def test_a_receive_from_an_empty_queue_yields_no_messages(answer: bytes) -> None:
    """SQS leaves the list out; emulators write it down."""
    assert value(RECEIVE, answer) == []


@pytest.mark.parametrize("answer", [b"", b"{}"])
def test_a_delete_and_a_renewal_yield_nothing(answer: bytes) -> None:
    """SQS answers with an empty body."""
    assert value(DELETE, answer) is None
    assert value(RENEW, answer) is None


def test_a_batch_tells_what_became_of_every_entry() -> None:
    """A failed one as a failure of its own, classified by its code, and by whose fault it is where that is new."""
    answer = {
        "Successful": [{"Id": "a", "MessageId": "m-1"}],
        "Failed": [
            {"Id": "b", "Code": "AWS.SimpleQueueService.ServiceUnavailable", "SenderFault": False},
            {"Id": "c", "Code": "InvalidMessageContents", "SenderFault": True, "Message": "no"},
            {"Id": "d", "Code": "Novel", "SenderFault": False},
        ],
    }
    result: BatchResult = value(SEND_BATCH, json.dumps(answer).encode())
    assert result.succeeded == {"a": "m-1"}
    assert {entry: failure.kind for entry, failure in result.failed.items()} == {
        "b": Kind.UNREACHABLE,
        "c": Kind.REFUSED,
        "d": Kind.UNREACHABLE,
    }
    assert str(result.failed["c"]) == "SendMessageBatch failed with InvalidMessageContents: no"
    assert result.failed["b"].code == "ServiceUnavailable"


def test_a_batch_published_tells_what_became_of_every_entry() -> None:
    """The same, out of XML."""
    result: BatchResult = value(PUBLISH_BATCH, PUBLISHED_BATCH)
    assert result.succeeded == {"a": "m-1"}
    assert {entry: failure.kind for entry, failure in result.failed.items()} == {
        "b": Kind.THROTTLED,
        "c": Kind.REFUSED,
    }
    assert result.failed["b"].message == "a & b"


def test_a_batch_without_message_ids_yields_empty_ones() -> None:
    """As a delete has none to give."""
    assert value(DELETE_BATCH, b'{"Successful":[{"Id":"1"}]}').succeeded == {"1": ""}


@pytest.mark.parametrize(
    ("operation", "answer"),
    [
        (SEND, b"<html>Log in to the hotel's network</html>"),
        (SEND, b"{}"),
        (SEND, b"[]"),
        (SEND, b'{"MessageId":"m'),
        (SEND_BATCH, b'{"Failed":[{"Id":"1"}]}'),
        (RECEIVE, b'{"Messages":[{"MessageAttributes":{"a":{"BinaryValue":"?"}}}]}'),
        (PUBLISH, b"{}"),
        (PUBLISH, b"<html/>"),
        (PUBLISH, b"\xff"),
        (PUBLISH_BATCH, PUBLISHED),
    ],
)
def test_a_good_status_on_an_answer_that_is_not_awss_is_no_answer(operation: Operation, answer: bytes) -> None:
    """Its outcome is unknown, as without one."""
    reply = read_reply(operation, 200, {}, answer)
    assert not reply.ok
    assert reply.failure is not None
    assert (reply.failure.kind, reply.failure.code) == (Kind.UNREACHABLE, "MalformedAnswer")


def test_xml_with_entities_of_its_own_is_refused() -> None:
    """They may grow without bounds."""
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + PUBLISHED.replace(b"m-1", b"&b;")
    reply = read_reply(PUBLISH, 200, {}, bomb)
    assert reply.failure is not None
    assert reply.failure.code == "MalformedAnswer"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_arrives_as_it_was(text: str) -> None:
    """Quotes, line ends, and characters beyond the first plane included."""
    operation = operations.send_message(identity=WHO, queue_url="q", body=text, attributes={})
    assert json.loads(operation.body)["MessageBody"] == text


def test_a_request_is_about_as_long_as_what_aws_counts() -> None:
    """Escaped to ASCII, this text would be three times as long."""
    body = "漢" * 1000
    operation = operations.send_message(identity=WHO, queue_url="q", body=body, attributes={})
    assert len(operation.body) < len(body.encode()) + 100


def test_half_a_surrogate_pair_is_refused_before_it_is_sent() -> None:
    """It is no text, and AWS would refuse it."""
    with pytest.raises(MessageError, match="surrogate"):
        operations.send_message(identity=WHO, queue_url="q", body="\ud800", attributes={})
    with pytest.raises(MessageError, match="surrogate"):
        operations.publish(identity=WHO, topic_arn="t", body="\ud800", attributes={})


def test_repeatable_says_whether_a_second_time_changes_anything() -> None:
    """A send does, unless AWS removes its duplicates."""
    fifo = operations.send_message(
        identity=WHO, queue_url="q", body="x", attributes={}, group_id="g", deduplication_id="d"
    )
    entry: Any = {"id": "1", "body": "x", "deduplication_id": "d"}
    batches = [
        operations.send_message_batch(identity=WHO, queue_url="q", entries=entries)
        for entries in ([entry], [entry, {"id": "2", "body": "x"}])
    ]
    assert [batch.repeatable for batch in batches] == [True, False]
    assert [op.repeatable for op in (SEND, SEND_BATCH, PUBLISH, PUBLISH_BATCH, fifo)] == [False] * 4 + [True]
    assert all(op.repeatable for op in (RECEIVE, DELETE, DELETE_BATCH, RENEW))


def test_a_long_poll_may_take_its_wait_and_some_more() -> None:
    """Other requests have the time the session gives them."""
    assert RECEIVE.read_timeout is not None
    assert RECEIVE.read_timeout > 20
    assert SEND.read_timeout is None
