"""ETA and countdown, seen from the requests they become and from the queues they wait in."""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import boto3
import pytest
from kombu import Connection, Exchange, Queue

import kombu_sns_sqs
from kombu_sns_sqs.addressing import companion_name
from tests.conformance.waiting import eventually
from tests.faults.conftest import drain_until
from tests.faults.relay import Answer, Relay, Request
from tests.faults.weather import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kombu_sns_sqs.local import LocalService

    Connect = Callable[..., Connection]


class Witness(Relay):
    """A relay that remembers what was asked."""

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream)
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def handle(self, request: Request) -> Answer | None:
        """Note what SQS is asked."""
        if request.service == "sqs":
            self.asked.append((request.action, json.loads(request.body)))
        return super().handle(request)

    def sent(self) -> list[tuple[str, dict[str, Any]]]:
        """The messages sent, each with the name of its queue."""
        found = []
        for action, asked in list(self.asked):
            if action == "SendMessage":
                found.append((asked["QueueUrl"].rpartition("/")[2], asked))
            elif action == "SendMessageBatch":
                found += [(asked["QueueUrl"].rpartition("/")[2], entry) for entry in asked["Entries"]]
        return found


@pytest.fixture
def relay(service: LocalService) -> Iterator[Witness]:
    """A relay that remembers."""
    with Witness(service.endpoint_url) as relay:
        yield relay


@pytest.fixture
def sqs(service: LocalService) -> Any:
    """What a stranger sees of SQS."""
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return boto3.client("sqs", endpoint_url=service.endpoint_url, region_name="us-east-1", **keys)


def task(seconds: float, **more: Any) -> dict[str, Any]:
    """The headers of a task that is due in so many seconds."""
    eta = datetime.now(timezone.utc) + timedelta(seconds=seconds)
    return {"task": "t", "id": uuid4().hex, "eta": eta.isoformat(), **more}


def declare(connection: Connection, *queues: Queue) -> None:
    """Declare queues."""
    for queue in queues:
        queue(connection).declare()


def queues_of(sqs: Any, prefix: str) -> list[str]:
    """The names of a test's queues, without its prefix."""
    urls = sqs.list_queues(QueueNamePrefix=prefix).get("QueueUrls", [])
    return sorted(url.rpartition("/")[2].removeprefix(prefix) for url in urls)


def test_a_countdown_is_a_delay_of_sqs(connect: Connect, relay: Witness, prefix: str) -> None:
    """Rounded down, since Celery holds a task for its last moments; what is due now is not delayed."""
    connection = connect()
    declare(connection, Queue("q"))
    for seconds in (100.9, 900.5, 0.5, -10):
        connection.Producer().publish("x", routing_key="q", headers=task(seconds))
    assert [(queue, sent.get("DelaySeconds")) for queue, sent in relay.sent()] == [
        (f"{prefix}q", 100),
        (f"{prefix}q", 900),
        (f"{prefix}q", None),
        (f"{prefix}q", None),
    ]


def test_what_is_far_off_waits_in_a_companion_that_is_made_once(
    connect: Connect, relay: Witness, prefix: str, sqs: Any
) -> None:
    """For at most 15 minutes at a time, with minutes to spare for the last stretch; it keeps messages for 14 days."""
    connection = connect()
    declare(connection, Queue("q"))
    made = relay.calls["CreateQueue"]
    for seconds in (1000, 3600, 30 * 86_400):
        connection.Producer().publish("x", routing_key="q", headers=task(seconds))
    companion = companion_name("q", prefix=prefix)
    assert [queue for queue, _ in relay.sent()] == [companion] * 3
    assert [sent["DelaySeconds"] for _, sent in relay.sent()] == pytest.approx([550, 900, 900], abs=2)
    assert relay.calls["CreateQueue"] == made + 1
    url = sqs.get_queue_url(QueueName=companion)["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert attributes["MessageRetentionPeriod"] == "1209600"


def test_what_is_scheduled_is_counted_and_goes_with_its_queue(connect: Connect, prefix: str, sqs: Any) -> None:
    """In the queue and in its companion; purging and deleting the queue do the same to the companion."""
    connection = connect()
    declare(connection, Queue("q"))
    for seconds in (600, 3600, 7200):
        connection.Producer().publish("x", routing_key="q", headers=task(seconds))
    eventually(lambda: kombu_sns_sqs.scheduled(connection, "q") == 3)
    assert connection.default_channel.queue_declare("q", passive=True).message_count == 0
    connection.default_channel.queue_purge("q")
    eventually(lambda: kombu_sns_sqs.scheduled(connection, "q") == 0)
    connection.default_channel.queue_delete("q")
    eventually(lambda: queues_of(sqs, prefix) == [])


def test_without_the_option_celery_keeps_its_etas(connect: Connect, relay: Witness) -> None:
    """It is sent at once and handed over at once, with its header."""
    connection, got = connect(eta_by_sqs=False), []
    queue = Queue("q")
    declare(connection, queue)
    connection.Producer().publish("x", routing_key="q", headers=task(3600))
    assert [sent.get("DelaySeconds") for _, sent in relay.sent()] == [None]
    with connection.Consumer([queue], on_message=got.append):
        drain_until(connection, lambda: got)
    assert "eta" in got[0].headers


def test_what_comes_early_through_sns_is_sent_on_to_wait(connect: Connect, relay: Witness, prefix: str) -> None:
    """SNS delays nothing. The application is not handed it, and it is deleted where it came in."""
    connection, got = connect(), []
    news = Queue("q", Exchange("news", type="fanout"))
    declare(connection, news)
    for seconds in (200, 4000):
        connection.Producer().publish("x", exchange="news", headers=task(seconds), priority=0)
    with connection.Consumer([news], on_message=got.append):
        drain_until(connection, lambda: len(relay.sent()) == 2 and relay.calls["DeleteMessageBatch"])
    assert got == []
    (near, sent), (far, later) = sorted(relay.sent(), key=lambda each: each[1]["DelaySeconds"])
    assert (near, far) == (f"{prefix}q", companion_name("q", prefix=prefix))
    assert sent["DelaySeconds"] == pytest.approx(199, abs=2)
    assert later["DelaySeconds"] == 900
    assert set(sent["MessageAttributes"]) == {"kombu"}


def test_what_comes_early_takes_no_slot_of_the_prefetch_window(connect: Connect, relay: Witness) -> None:
    """Twenty tasks that are not due do not keep a window of one from the message behind them."""
    connection, got = connect(), []
    news = Queue("q", Exchange("news", type="fanout"))
    declare(connection, news)
    for _ in range(20):
        connection.Producer().publish("early", exchange="news", headers=task(300))
    connection.Producer().publish("due", routing_key="q")
    channel = connection.channel()
    channel.basic_qos(prefetch_count=1)
    with connection.Consumer([news], channel=channel, on_message=got.append):
        drain_until(connection, lambda: got and len(relay.sent()) == 21)
    assert [message.payload for message in got] == ["due"]


def test_what_was_sent_on_is_delivered_when_it_is_due(connect: Connect, relay: Witness) -> None:
    """Once, although its publish id has been seen here before; Celery would hold it for less than two seconds."""
    connection, got = connect(), []
    news = Queue("q", Exchange("news", type="fanout"))
    declare(connection, news)
    headers = task(4)
    connection.Producer().publish("x", exchange="news", headers=headers)
    with connection.Consumer([news], on_message=lambda message: got.append(time.time()) or message.ack()):
        drain_until(connection, lambda: got)
    assert len(relay.sent()) == 1
    assert datetime.fromisoformat(headers["eta"]).timestamp() - 2.1 <= got[0]
    assert connection.default_channel.queue_declare("q", passive=True).message_count == 0


def test_a_get_does_not_return_what_is_not_due(connect: Connect, relay: Witness) -> None:
    """It is sent on by the same thread."""
    connection = connect()
    news = Queue("q", Exchange("news", type="fanout"))
    declare(connection, news)
    connection.Producer().publish("x", exchange="news", headers=task(300))
    assert news(connection).get() is None
    eventually(lambda: [sent["DelaySeconds"] for _, sent in relay.sent()] == [pytest.approx(299, abs=2)])


@pytest.mark.parametrize(
    ("headers", "properties"), [({"x-delay": 2000}, {}), ({}, {"DelaySeconds": 2}), ({}, {"delay_seconds": "2"})]
)
def test_plain_kombu_asks_for_a_delay_as_on_other_brokers(
    connect: Connect, relay: Witness, headers: dict[str, Any], properties: dict[str, Any]
) -> None:
    """RabbitMQ's header in milliseconds, the property of kombu's sqs in seconds: never early, as nobody looks again."""
    connection, got = connect(), []
    queue = Queue("q")
    declare(connection, queue)
    began = time.time()
    connection.Producer().publish("x", routing_key="q", headers=headers, **properties)
    assert [sent["DelaySeconds"] for _, sent in relay.sent()] == [2]
    with connection.Consumer([queue], on_message=got.append):
        drain_until(connection, lambda: got)
    assert time.time() - began >= 2


def test_a_delay_through_sns_is_kept_on_receipt(connect: Connect, relay: Witness) -> None:
    """The envelope says until when, as no header does."""
    connection, got = connect(), []
    news = Queue("q", Exchange("news", type="fanout"))
    declare(connection, news)
    began = time.time()
    connection.Producer().publish("x", exchange="news", headers={"x-delay": 2500})
    with connection.Consumer([news], on_message=got.append):
        drain_until(connection, lambda: got)
    assert time.time() - began >= 2.5
    assert len(relay.sent()) >= 1


def test_a_fifo_queue_delays_nothing_itself(connect: Connect, relay: Witness, prefix: str) -> None:
    """What is not due waits in a standard companion, and keeps its group and its deduplication id for its queue."""
    connection, got = connect(), []
    queue = Queue("q.fifo")
    declare(connection, queue)
    headers = task(4)
    with connection.Consumer([queue], on_message=lambda message: got.append(time.time()) or message.ack()):
        connection.Producer().publish("x", routing_key="q.fifo", headers=headers, message_group_id="g")
        drain_until(connection, lambda: got)
    (first, waits), (last, sent) = relay.sent()
    assert (first, last) == (companion_name("q.fifo", prefix=prefix), f"{prefix}q.fifo")
    assert waits["DelaySeconds"] in (3, 4)
    assert "MessageGroupId" not in waits
    assert "DelaySeconds" not in sent
    assert (sent["MessageGroupId"], sent["MessageDeduplicationId"]) == (
        "g",
        json.loads(sent["MessageBody"])["publish-id"],
    )
    due = datetime.fromisoformat(headers["eta"]).timestamp()
    assert due - 2.1 <= got[0] <= due + 2


def test_a_producer_that_may_make_no_companion_does_without(connect: Connect, relay: Witness, prefix: str) -> None:
    """The task waits in its own queue for 15 minutes at first, and is sent on by whoever receives it."""
    connection = connect()
    declare(connection, Queue("q"))
    relay.fault("CreateQueue", Refused("AccessDenied", 403))
    for _ in range(2):
        connection.Producer().publish("x", routing_key="q", headers=task(3600))
    assert [(queue, sent["DelaySeconds"]) for queue, sent in relay.sent()] == [(f"{prefix}q", 900)] * 2
    assert relay.calls["CreateQueue"] == 2


def test_for_workers_on_kombus_sqs_nothing_is_put_where_they_do_not_look(
    connect: Connect, relay: Witness, prefix: str
) -> None:
    """They hold a task that comes to them early; a worker on this transport sends it on."""
    connection = connect(compat="sqs")
    declare(connection, Queue("q"))
    connection.Producer().publish("x", routing_key="q", headers=task(3600))
    assert [(queue, sent["DelaySeconds"]) for queue, sent in relay.sent()] == [(f"{prefix}q", 900)]


def test_with_topology_validate_no_companion_is_made(connect: Connect, relay: Witness, prefix: str) -> None:
    """One that is there is used."""
    makers, connection = connect(), connect(topology="validate")
    declare(makers, Queue("q"))
    declare(connection, Queue("q"))
    connection.Producer().publish("x", routing_key="q", headers=task(3600))
    assert [queue for queue, _ in relay.sent()] == [f"{prefix}q"]
    makers.Producer().publish("x", routing_key="q", headers=task(3600))
    fresh = connect(topology="validate", get_wait_seconds=1)
    fresh.Producer().publish("x", routing_key="q", headers=task(3600))
    assert [queue for queue, _ in relay.sent()][1:] == [companion_name("q", prefix=prefix)] * 2
