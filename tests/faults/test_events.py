"""Celery's events on a good day and on a bad one: in batches, in order, and never in the way of who sends them."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery
from kombu import Connection, Exchange, Queue

import kombu_sns_sqs
from kombu_sns_sqs import errors
from tests.faults.conftest import drain_until
from tests.faults.weather import CutAfter, HalfFails, Hangs, Refused, ServerError, Throttled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from celery.events import EventDispatcher

    from tests.faults.relay import Relay
    from tests.faults.weather import Fault

    Connect = Callable[..., Connection]

PATIENCE = 20.0
EVENTS = Exchange("celeryev", type="topic")


@pytest.fixture
def app() -> Iterator[Celery]:
    """An app, for its dispatchers."""
    app = Celery("events", set_as_current=False)
    yield app
    app.close()


class Audience:
    """A queue of events and what has come of them."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.queue = Queue("audience", EVENTS, "#", durable=False)(connection)
        self.queue.declare()
        self.heard: list[Any] = []

    def wait_for(self, number: int) -> list[Any]:
        """Receive until so many have come."""

        def take(message: Any) -> None:
            payload = message.payload
            self.heard.extend(payload if isinstance(payload, list) else [payload])
            message.ack()

        with self.connection.Consumer([self.queue], on_message=take):
            drain_until(self.connection, lambda: len(self.heard) >= number, PATIENCE)
        return [event["number"] for event in sorted(self.heard, key=lambda event: event["clock"])]


@pytest.fixture
def audience(connect: Connect) -> Audience:
    """It listens before anything is sent."""
    return Audience(connect(event_delay=60))


def dispatcher(app: Celery, connection: Connection, **arguments: Any) -> EventDispatcher:
    """Celery's own, as a worker has it."""
    return app.events.Dispatcher(connection, hostname="w1@test", **arguments)


def test_ten_events_are_one_call_and_25_are_three(
    connect: Connect, relay: Relay, audience: Audience, app: Celery
) -> None:
    """In their order; closing the connection sees the last five out."""
    sender = dispatcher(app, connect(event_delay=60))
    for number in range(10):
        sender.send("worker-heartbeat", number=number)
    assert audience.wait_for(10) == list(range(10))
    assert (relay.calls["PublishBatch"], relay.calls["Publish"]) == (1, 0)
    for number in range(10, 35):
        sender.send("worker-heartbeat", number=number)
    sender.connection.release()
    assert relay.calls["PublishBatch"] == 4
    assert audience.wait_for(35) == list(range(35))


def test_task_events_that_celery_has_put_together_stay_together(
    connect: Connect, relay: Relay, audience: Audience, app: Celery
) -> None:
    """A worker's ``task.multi`` messages, of up to 24 events each: ten of them to a request."""
    connection = connect(event_delay=60)
    sender = dispatcher(app, connection, buffer_group=["task"])
    for number in range(240):
        sender.send("task-received", number=number, uuid=str(number))
    assert audience.wait_for(240) == list(range(240))
    assert relay.calls["PublishBatch"] == 1


@pytest.mark.parametrize(
    "fault",
    [ServerError(), Throttled(), CutAfter(), HalfFails(), Refused("InternalFailure", 500)],
    ids=["no endpoint", "throttled", "answers lost", "half fails", "internal failure"],
)
def test_an_outage_costs_no_event_and_holds_nobody_up(
    connect: Connect, relay: Relay, audience: Audience, app: Celery, fault: Fault
) -> None:
    """Heartbeats ask kombu to repeat them for ever; here there is nothing to repeat."""
    sender = dispatcher(app, connect(event_delay=0.05))
    sender.send("worker-online", number=0)
    assert audience.wait_for(1) == [0]
    relay.fault("PublishBatch", fault)
    asked = relay.calls["PublishBatch"]
    for number in range(1, 16):
        sender.send("worker-heartbeat", number=number, retry=True)
    assert relay.wait_for("PublishBatch", asked + 2, within=PATIENCE)
    assert not sender._outbound_buffer
    relay.clear()
    heard = audience.wait_for(16)
    # An answer that was lost may have been of a request that was carried out.
    assert sorted(set(heard)) == list(range(16))


def test_a_service_that_hangs_holds_nobody_up(connect: Connect, relay: Relay, audience: Audience, app: Celery) -> None:
    """All are published before the first request is answered; closing the connection waits for the answers."""
    connection = connect(event_delay=0, read_timeout=60)
    sender = dispatcher(app, connection)
    sender.send("worker-online", number=0)
    assert audience.wait_for(1) == [0]
    relay.fault("PublishBatch", Hangs())
    answered = relay.answered["PublishBatch"]
    for number in range(1, 31):
        sender.send("worker-heartbeat", number=number, retry=True)
    assert relay.answered["PublishBatch"] == answered
    relay.clear()
    connection.release()
    assert sorted(set(audience.wait_for(31))) == list(range(31))


def test_verbs_that_answer_wait_for_no_event(connect: Connect, relay: Relay, audience: Audience, app: Celery) -> None:
    """Celery calls them on a worker's event loop, which a topic that is out of reach would hold up."""
    connection = connect(event_delay=60)
    dispatcher(app, connection).send("worker-heartbeat", number=1)
    queue = Queue("q")(connection)
    queue.declare()
    assert queue.get() is None
    queue.purge()
    queue.delete()
    assert relay.calls["PublishBatch"] == 0


def test_a_missing_permission_is_told_once_and_costs_the_events_alone(
    connect: Connect, relay: Relay, audience: Audience, app: Celery, caplog: pytest.LogCaptureFixture
) -> None:
    """A worker that may not publish events works on."""
    relay.fault("PublishBatch", Refused("AuthorizationError", 403, "not authorized to perform: SNS:Publish"))
    connection = connect(event_delay=0)
    sender = dispatcher(app, connection)
    for number in range(3):
        sender.send("worker-heartbeat", number=number, retry=True)
        connection.default_channel.connection.services.courier.flush(PATIENCE)
    told = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(told) == 1
    assert "SNS:Publish" in told[0].getMessage()
    relay.clear()
    sender.send("worker-heartbeat", number=3)
    assert audience.wait_for(1) == [3]


def test_what_is_no_event_is_with_aws_when_publish_returns(connect: Connect, relay: Relay, audience: Audience) -> None:
    """A task, a message to another exchange, and one that has to outlive the broker."""
    connection = connect(event_delay=60)
    other = Exchange("other", type="topic")
    Queue("tasks", other, "#")(connection).declare()
    producer = connection.Producer()
    for exchange, mode in (("other", "transient"), ("celeryev", "persistent"), ("", "transient")):
        answered = relay.answered.total()
        producer.publish({"number": 1, "clock": 1}, exchange=exchange, routing_key="tasks", delivery_mode=mode)
        assert relay.answered.total() == answered + 1
    assert (relay.answered["Publish"], relay.answered["SendMessage"], relay.calls["PublishBatch"]) == (2, 1, 0)


@pytest.mark.parametrize("exchange", ["", "another"])
def test_events_are_sent_one_by_one_where_that_is_asked_for(
    connect: Connect, relay: Relay, audience: Audience, app: Celery, exchange: str
) -> None:
    """``event_exchange`` names the exchange that is meant; empty, there is none."""
    sender = dispatcher(app, connect(event_exchange=exchange, event_delay=60))
    for number in range(3):
        sender.send("worker-heartbeat", number=number)
        assert relay.answered["Publish"] == number + 1
    assert relay.calls["PublishBatch"] == 0


def test_an_event_too_large_for_sns_is_an_error_of_who_sends_it(connect: Connect, audience: Audience) -> None:
    """It is known before anything is sent."""
    producer = connect().Producer()
    with pytest.raises(errors.MessageTooLarge):
        producer.publish("x" * 300_000, exchange="celeryev", routing_key="task.sent", delivery_mode=1)


def test_an_exchange_that_was_deleted_is_named_in_the_log_and_events_flow_when_it_is_back(
    connect: Connect, relay: Relay, audience: Audience, app: Celery, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever declares it next brings it back."""
    connection = connect(event_delay=0)
    sender = dispatcher(app, connection)
    sender.send("worker-online", number=0)
    assert audience.wait_for(1) == [0]
    EVENTS(connect()).delete()
    sender.send("worker-heartbeat", number=1)
    assert connection.default_channel.connection.services.courier.flush(PATIENCE)
    assert "exchange 'celeryev' did not take" in caplog.text
    again = Audience(connect(event_delay=1))
    sender.send("worker-heartbeat", number=2)
    assert again.wait_for(1) == [2]


def test_a_process_sends_its_last_events_before_it_ends(relay: Relay, audience: Audience, prefix: str) -> None:
    """A script that has sent one, and neither closes its connection nor waits."""
    url = f"sns-sqs://test:test@{relay.url.removeprefix('http://')}/{prefix}?region=us-east-1&event_delay=60"
    code = (
        "import kombu_sns_sqs\n"
        "from celery import Celery\n"
        f"app = Celery(broker={url!r})\n"
        "connection = app.connection_for_write()\n"
        "app.events.Dispatcher(connection).send('worker-online', number=7)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert audience.wait_for(1) == [7]


def test_events_of_several_threads_share_requests(
    connect: Connect, relay: Relay, audience: Audience, app: Celery
) -> None:
    """As those of a web server's do, which tells of the tasks it has sent."""
    connection = connect(event_delay=60)

    def send(thread: int) -> None:
        sender = dispatcher(app, connection.clone())
        for number in range(5):
            sender.send("task-sent", number=10 * thread + number, uuid=f"{thread}-{number}")

    threads = [threading.Thread(target=send, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(audience.wait_for(20)) == [10 * thread + number for thread in range(4) for number in range(5)]
    assert relay.calls["PublishBatch"] == 2
    assert json.dumps(audience.heard)


def test_shutting_the_package_down_sends_what_waits(connect: Connect, audience: Audience, app: Celery) -> None:
    """Also where nobody has closed the connection."""
    dispatcher(app, connect(event_delay=59)).send("worker-offline", number=1)
    kombu_sns_sqs.shutdown()
    again = Audience(connect(event_delay=60))
    assert again.wait_for(1) == [1]
