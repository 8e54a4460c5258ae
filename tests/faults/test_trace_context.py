"""Whose trace a message belongs to comes along with it, on every way there is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import boto3
import pytest
from kombu import Connection, Exchange, Queue

from tests.faults.conftest import PATIENCE, drain_until
from tests.faults.relay import Answer, Relay, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kombu_sns_sqs.local import LocalService

    Connect = Callable[..., Connection]

TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
#: https://www.w3.org/TR/trace-context/ and https://www.w3.org/TR/baggage/
CONTEXT = {
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "tracestate": "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
    "baggage": "userId=Am%C3%A9lie,isProduction=false;ttl=1",
}


class Witness(Relay):
    """A relay that remembers what was sent."""

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream)
        self.sent: list[Request] = []

    def handle(self, request: Request) -> Answer | None:
        """Remember what carries messages."""
        if request.action.startswith(("Send", "Publish")):
            self.sent.append(request)
        return super().handle(request)

    def traces(self, queue: str) -> list[str | None]:
        """Give the system attribute of each message that was sent to a queue."""
        entries = []
        for request in [one for one in self.sent if one.service == "sqs"]:
            asked = json.loads(request.body)
            if asked["QueueUrl"].endswith(queue):
                entries += asked.get("Entries") or [asked]
        attributes = [entry.get("MessageSystemAttributes", {}).get("AWSTraceHeader", {}) for entry in entries]
        return [attribute.get("StringValue") for attribute in attributes]

    @property
    def published(self) -> list[Request]:
        """The requests to SNS."""
        return [request for request in self.sent if request.service == "sns"]


@pytest.fixture
def relay(service: LocalService) -> Iterator[Witness]:
    """A relay that remembers."""
    with Witness(service.endpoint_url) as relay:
        yield relay


def receive(connection: Connection, queue: Any, count: int = 1, how: str = "ack") -> list[dict[str, Any]]:
    """Give the headers of so many messages."""
    messages: list[Any] = []
    with connection.Consumer([queue], on_message=messages.append, auto_declare=False):
        drain_until(connection, lambda: len(messages) >= count)
        for message in messages:
            getattr(message, how)()
        connection.default_channel.connection.services.settle(PATIENCE)
    return [message.headers for message in messages]


@pytest.mark.parametrize("compat", ["native", "sqs"])
def test_context_is_carried_through_a_queue(connect: Connect, relay: Witness, compat: str) -> None:
    """Unchanged; X-Ray's is in the place where AWS looks for it, too, whether it was given as header or property."""
    connection = connect(compat=compat)
    queue = Queue("q")(connection)
    queue.declare()
    producer = connection.Producer()
    producer.publish("m", routing_key="q", headers={**CONTEXT, "AWSTraceHeader": TRACE})
    assert receive(connection, queue) == [{**CONTEXT, "AWSTraceHeader": TRACE}]
    producer.publish("m", routing_key="q", headers=CONTEXT, AWSTraceHeader=TRACE)
    assert receive(connection, queue) == [{**CONTEXT, "AWSTraceHeader": TRACE}]
    assert relay.traces("q") == [TRACE, TRACE]


def test_what_another_service_sends_is_seen(connect: Connect, service: LocalService, prefix: str) -> None:
    """A stranger's message has no headers of ours; its trace is there all the same."""
    connection = connect()
    queue = Queue("q")(connection)
    queue.declare()
    sqs = boto3.client(
        "sqs",
        endpoint_url=service.endpoint_url,
        region_name=service.region,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    url = sqs.get_queue_url(QueueName=f"{prefix}q")["QueueUrl"]
    attributes = {"AWSTraceHeader": {"DataType": "String", "StringValue": TRACE}}
    sqs.send_message(QueueUrl=url, MessageBody="plain", MessageSystemAttributes=attributes)
    assert receive(connection, queue) == [{"AWSTraceHeader": TRACE}]


def test_context_is_carried_through_a_topic(connect: Connect, relay: Witness) -> None:
    """SNS takes X-Ray's as a header of the request, one that proxies may change: it is not signed."""
    connection = connect()
    queue = Queue("q", Exchange("e", "topic"), routing_key="a.*")(connection)
    queue.declare()
    headers = {**CONTEXT, "AWSTraceHeader": TRACE}
    connection.Producer(auto_declare=False).publish("m", exchange="e", routing_key="a.b", headers=headers)
    assert receive(connection, queue) == [headers]
    (request,) = relay.published
    assert request.headers["x-amzn-trace-id"] == TRACE
    assert "x-amzn-trace-id" not in request.headers["authorization"]


def test_context_is_carried_in_batches(connect: Connect, relay: Witness) -> None:
    """Each message its own to a queue; to a topic the header speaks for all of a request, or is left out."""
    connection = connect()
    plain, bound = Queue("plain")(connection), Queue("bound", Exchange("e", "fanout"))(connection)
    plain.declare()
    bound.declare()
    other = TRACE.replace("1-5759", "1-6000")
    producer = connection.Producer(auto_declare=False)
    with producer.batch():
        for trace in (TRACE, other):
            producer.publish("m", routing_key="plain", headers={**CONTEXT, "AWSTraceHeader": trace})
            producer.publish("m", exchange="e", headers={**CONTEXT, "AWSTraceHeader": trace})
    with producer.batch():
        for _ in range(2):
            producer.publish("m", exchange="e", headers={"AWSTraceHeader": TRACE})
    assert sorted(relay.traces("plain")) == [TRACE, other]  # type: ignore[type-var]
    assert [request.headers.get("x-amzn-trace-id") for request in relay.published] == [None, TRACE]
    assert sorted(one["AWSTraceHeader"] for one in receive(connection, plain, 2)) == [TRACE, other]
    received = receive(connection, bound, 4)
    assert sorted(one["AWSTraceHeader"] for one in received) == [TRACE, TRACE, TRACE, other]
    assert sum(CONTEXT.items() <= one.items() for one in received) == 2


@pytest.mark.parametrize("exchange", ["", "e"])
def test_context_is_kept_by_what_waits(connect: Connect, relay: Witness, exchange: str) -> None:
    """A delay of SQS's; and a hop, which what came through SNS has to make."""
    connection = connect()
    queue = Queue("q", Exchange("e", "direct"), routing_key="q")(connection)
    queue.declare()
    headers = {**CONTEXT, "AWSTraceHeader": TRACE, "x-delay": 2000}
    connection.Producer(auto_declare=False).publish("m", exchange=exchange, routing_key="q", headers=headers)
    assert CONTEXT.items() <= receive(connection, queue)[0].items()
    assert len(relay.published) == (1 if exchange else 0)
    assert relay.traces("q") == [TRACE]


@pytest.mark.parametrize("exchange", ["", "dead"])
def test_context_is_kept_by_dead_letters(connect: Connect, relay: Witness, exchange: str) -> None:
    """By the way of a queue, and by that of an exchange."""
    connection = connect()
    grave = Queue("grave", Exchange("dead", "fanout"))(connection)
    arguments = {"x-dead-letter-exchange": exchange, "x-dead-letter-routing-key": "grave"}
    queue = Queue("q", queue_arguments=arguments)(connection)
    grave.declare()
    queue.declare()
    headers = {**CONTEXT, "AWSTraceHeader": TRACE}
    connection.Producer(auto_declare=False).publish("m", routing_key="q", headers=headers)
    receive(connection, queue, how="reject")
    assert headers.items() <= receive(connection, grave)[0].items()
    if exchange:
        assert [request.headers.get("x-amzn-trace-id") for request in relay.published] == [TRACE]
        assert parse_qs(relay.published[0].body.decode())["Action"] == ["PublishBatch"]
    else:
        assert relay.traces("grave") == [TRACE]


def test_what_is_no_trace_header_is_an_ordinary_one(
    connect: Connect, relay: Witness, caplog: pytest.LogCaptureFixture
) -> None:
    """AWS demands the form, and a line break in it would be a header of the sender's making."""
    connection = connect()
    queue = Queue("q", Exchange("e", "fanout"))(connection)
    queue.declare()
    wrong = f"{TRACE}\r\nX-Other: 1"
    producer = connection.Producer(auto_declare=False)
    producer.publish("m", routing_key="q", headers={"AWSTraceHeader": wrong})
    producer.publish("m", exchange="e", headers={"AWSTraceHeader": wrong})
    assert receive(connection, queue, 2) == [{"AWSTraceHeader": wrong}] * 2
    assert relay.traces("q") == [None]
    assert "x-other" not in relay.published[0].headers
    assert caplog.text.count("is not of the form") <= 1
