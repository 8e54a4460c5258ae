"""What we send is what botocore would send, and what we take from it is still there.

The requests of the data plane are written by hand. Each is compared with the one botocore's serializer makes of the
same call, so that a change of protocol in botocore's next release fails here before it fails in AWS.
"""

from __future__ import annotations

import inspect
import json
from typing import Any
from urllib.parse import parse_qs

import boto3
import pytest
from botocore.credentials import AssumeRoleCredentialFetcher, ReadOnlyCredentials, RefreshableCredentials
from botocore.session import Session

from kombu_sns_sqs.aws import operations
from kombu_sns_sqs.aws.operation import Operation
from kombu_sns_sqs.identity import Identity

IDENTITY = Identity(region="eu-central-1", access_key_id="AKIAIOSFODNN7EXAMPLE", secret_access_key="secret")
QUEUE = "https://sqs.eu-central-1.amazonaws.com/123456789012/orders"
TOPIC = "arn:aws:sns:eu-central-1:123456789012:orders"
TEXT = 'é 😀 "quoted" \\ <&> \t\r\n\u2028 +%20='
ATTRIBUTES = {
    "rk": {"DataType": "String", "StringValue": "a.b"},
    "n": {"DataType": "Number", "StringValue": "2"},
    "raw": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
}
TRACE = {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-5759e988-bd862e3fe1be46a994272793"}}
ENTRIES: list[Any] = [
    {"id": "a", "body": TEXT, "attributes": ATTRIBUTES, "group_id": "g", "deduplication_id": "d"},
    {"id": "b", "body": "plain"},
]

CASES = {
    "send": (
        operations.send_message(identity=IDENTITY, queue_url=QUEUE, body=TEXT, attributes={}),
        {"QueueUrl": QUEUE, "MessageBody": TEXT},
    ),
    "send with everything": (
        operations.send_message(
            identity=IDENTITY,
            queue_url=QUEUE,
            body=TEXT,
            attributes=ATTRIBUTES,
            delay_seconds=0,
            group_id="g",
            deduplication_id="d",
            system_attributes=TRACE,
        ),
        {
            "QueueUrl": QUEUE,
            "MessageBody": TEXT,
            "MessageAttributes": ATTRIBUTES,
            "DelaySeconds": 0,
            "MessageGroupId": "g",
            "MessageDeduplicationId": "d",
            "MessageSystemAttributes": TRACE,
        },
    ),
    "send a batch": (
        operations.send_message_batch(
            identity=IDENTITY, queue_url=QUEUE, entries=[*ENTRIES, {"id": "c", "body": "late", "delay_seconds": 9}]
        ),
        {
            "QueueUrl": QUEUE,
            "Entries": [
                {
                    "Id": "a",
                    "MessageBody": TEXT,
                    "MessageAttributes": ATTRIBUTES,
                    "MessageGroupId": "g",
                    "MessageDeduplicationId": "d",
                },
                {"Id": "b", "MessageBody": "plain"},
                {"Id": "c", "MessageBody": "late", "DelaySeconds": 9},
            ],
        },
    ),
    "receive": (
        operations.receive_message(
            identity=IDENTITY, queue_url=QUEUE, max_messages=7, wait_seconds=20, visibility_timeout=60
        ),
        {
            "QueueUrl": QUEUE,
            "MaxNumberOfMessages": 7,
            "WaitTimeSeconds": 20,
            "VisibilityTimeout": 60,
            "MessageAttributeNames": ["All"],
            "MessageSystemAttributeNames": ["All"],
        },
    ),
    "delete": (
        operations.delete_message(identity=IDENTITY, queue_url=QUEUE, receipt_handle="h"),
        {"QueueUrl": QUEUE, "ReceiptHandle": "h"},
    ),
    "delete a batch": (
        operations.delete_message_batch(identity=IDENTITY, queue_url=QUEUE, entries={"1": "h", "2": "i"}),
        {"QueueUrl": QUEUE, "Entries": [{"Id": "1", "ReceiptHandle": "h"}, {"Id": "2", "ReceiptHandle": "i"}]},
    ),
    "change visibility": (
        operations.change_visibility(identity=IDENTITY, queue_url=QUEUE, receipt_handle="h", seconds=0),
        {"QueueUrl": QUEUE, "ReceiptHandle": "h", "VisibilityTimeout": 0},
    ),
    "change visibility of a batch": (
        operations.change_visibility_batch(identity=IDENTITY, queue_url=QUEUE, entries={"1": ("h", 0), "2": ("i", 60)}),
        {
            "QueueUrl": QUEUE,
            "Entries": [
                {"Id": "1", "ReceiptHandle": "h", "VisibilityTimeout": 0},
                {"Id": "2", "ReceiptHandle": "i", "VisibilityTimeout": 60},
            ],
        },
    ),
    "publish": (
        operations.publish(
            identity=IDENTITY,
            topic_arn=TOPIC,
            body=TEXT,
            attributes=ATTRIBUTES,
            group_id="g",
            deduplication_id="d",
        ),
        {
            "TopicArn": TOPIC,
            "Message": TEXT,
            "MessageAttributes": ATTRIBUTES,
            "MessageGroupId": "g",
            "MessageDeduplicationId": "d",
        },
    ),
    "publish a batch": (
        operations.publish_batch(identity=IDENTITY, topic_arn=TOPIC, entries=ENTRIES),
        {
            "TopicArn": TOPIC,
            "PublishBatchRequestEntries": [
                {
                    "Id": "a",
                    "Message": TEXT,
                    "MessageAttributes": ATTRIBUTES,
                    "MessageGroupId": "g",
                    "MessageDeduplicationId": "d",
                },
                {"Id": "b", "Message": "plain"},
            ],
        },
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_request_is_the_one_botocore_would_send(case: str) -> None:
    """Method, address, body and the headers that carry meaning are the same."""
    operation, arguments = CASES[case]
    theirs = botocore_request(operation, arguments)
    assert theirs.method == "POST"
    assert theirs.url == f"https://{operation.service}.eu-central-1.amazonaws.com/"
    assert parsed(operation.service, operation.body) == parsed(operation.service, as_bytes(theirs.body))
    ours = {name.lower(): value for name, value in operation.headers}
    meant = {name.lower() for name in theirs.headers} & {"content-type", "x-amz-target", "x-amzn-query-mode"}
    assert ours == {name: as_bytes(theirs.headers[name]).decode() for name in meant}


def test_the_role_fetcher_takes_the_window_in_which_it_renews() -> None:
    """Without it, a session of the shortest length would be renewed at every signature."""
    assert "expiry_window_seconds" in inspect.signature(AssumeRoleCredentialFetcher).parameters
    parameters = inspect.signature(RefreshableCredentials.create_from_metadata).parameters
    assert {"advisory_timeout", "mandatory_timeout"} <= set(parameters)


def test_a_session_takes_a_provider_of_ours() -> None:
    """``get_credentials`` asks the component we register, once."""

    class Provider:
        asked = 0

        def load_credentials(self) -> str:
            self.asked += 1
            return "found"

    session, provider = Session(), Provider()
    session.register_component("credential_provider", provider)
    assert [session.get_credentials(), session.get_credentials()] == ["found", "found"]
    assert provider.asked == 1


def test_frozen_credentials_know_their_account() -> None:
    """The account id saves a call to STS where botocore has learnt it."""
    assert ReadOnlyCredentials("key", "secret", None, "123456789012").account_id == "123456789012"


def botocore_request(operation: Operation, arguments: dict[str, Any]) -> Any:
    """Have botocore make the request, and take it from it before it is sent."""
    client = boto3.session.Session().client(
        operation.service,
        region_name=IDENTITY.region,
        aws_access_key_id=IDENTITY.access_key_id,
        aws_secret_access_key=IDENTITY.secret_access_key,
    )
    sent: list[Any] = []

    class Kept(Exception):
        pass

    def stop(request: Any, **_: Any) -> None:
        sent.append(request)
        raise Kept

    client.meta.events.register(f"before-send.{operation.service}.{operation.action}", stop)
    method = "".join(f"_{char.lower()}" if char.isupper() else char for char in operation.action).lstrip("_")
    with pytest.raises(Kept):
        getattr(client, method)(**arguments)
    return sent[0]


def parsed(service: str, body: bytes) -> Any:
    """Take a body apart, so that order and escaping do not matter."""
    return json.loads(body) if service == "sqs" else parse_qs(body.decode(), strict_parsing=True)


def as_bytes(value: str | bytes) -> bytes:
    """Give bytes, as botocore mixes both."""
    return value.encode() if isinstance(value, str) else value
