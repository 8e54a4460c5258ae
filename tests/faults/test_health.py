"""What a connection tells of itself, to probes and watchdogs; and what it gives back to others when it is drained."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from kombu import Connection, Queue

import kombu_sns_sqs
from kombu_sns_sqs import health
from kombu_sns_sqs.clock import lease_clock
from tests.faults.conftest import drain_until, run_hub
from tests.faults.weather import ServerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from kombu_sns_sqs.local import LocalService
    from tests.faults.relay import Relay

    Connect = Callable[..., Connection]

DRIVERS = {"drain": drain_until, "hub": run_hub}


def test_an_idle_queue_is_answered_again_and_again(connect: Connect, relay: Relay) -> None:
    """And has a poll open; when polls fail the last answer stays the last, and failures are counted."""
    connection, run = connect(), run_hub
    queue = Queue("q")(connection)
    queue.declare()
    with connection.Consumer([queue], on_message=print):
        run(connection, lambda: health(connection).queues[0].answered_at)
        first = health(connection)
        run(connection, lambda: health(connection).queues[0].answered_at != first.queues[0].answered_at)
        assert first.queues[0].answered_at <= time.monotonic()
        assert (first.connected, first.queues[0].queue, first.queues[0].full) == (True, "q", False)
        relay.fault("ReceiveMessage", ServerError())
        run(connection, lambda: health(connection).queues[0].failures)
        failing = health(connection).queues[0]
        relay.clear()
        run(connection, lambda: health(connection).queues[0].answered_at != failing.answered_at)
        assert health(connection).queues[0].failures == 0
        run(connection, lambda: health(connection).queues[0].polls == 1)
    assert health(connection).queues == ()


def test_a_full_window_is_told_from_silence(connect: Connect) -> None:
    """Nobody asks, because the application has all it can take; the ack of one message changes that."""
    connection, messages = connect(), []
    queue = Queue("q")(connection)
    queue.declare()
    connection.Producer().publish("x", routing_key="q")
    connection.default_channel.basic_qos(0, 1, False)
    with connection.Consumer([queue], on_message=messages.append):
        drain_until(connection, lambda: messages)
        full = health(connection)
        assert (full.queues[0].full, full.held) == (True, 1)
        messages[0].ack()
        assert not health(connection).queues[0].full


def test_a_connection_that_is_not_open_is_not_opened_by_being_asked(connect: Connect, relay: Relay) -> None:
    """Before its first use, and after its last; one to another broker has nothing to tell."""
    connection = connect()
    assert health(connection) == kombu_sns_sqs.Health(connected=False)
    assert sum(relay.calls.values()) == 0
    connection.ensure_connection(max_retries=1)
    assert health(connection).connected
    connection.release()
    assert not health(connection).connected
    assert not health(Connection("memory://")).connected


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_of_leases_that_has_ended_is_late_and_later(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it lives it is late by moments."""
    connection, messages = connect(shutdown_timeout=0.1), []
    queue = Queue("q")(connection)
    queue.declare()
    connection.Producer().publish("x", routing_key="q")
    with connection.Consumer([queue], on_message=messages.append):
        drain_until(connection, lambda: messages)
        assert health(connection).renewals_late < 5
        # What keeps it from turning ever again, as no error of a request can.
        settler = next(iter(connection.connection.services.settler._by_lease.values()))

        def end(timeout: float) -> None:
            raise SystemExit

        monkeypatch.setattr(settler._client, "run_once", end)
        settler._wake()
        settler._thread.join(10)
        monkeypatch.undo()
        monkeypatch.setattr("kombu_sns_sqs.vitals.lease_clock", lambda: lease_clock() + 60)
        assert health(connection).renewals_late > 30


@pytest.mark.parametrize("driver", DRIVERS)
def test_what_is_dropped_while_a_connection_drains_is_there_for_others(
    connect: Connect, relay: Relay, service: LocalService, driver: str
) -> None:
    """At once, or when it is dropped; what is in hand is kept, and acked; what arrives is not taken."""
    connection, other, run = connect(visibility_timeout=60), connect(straight=service.endpoint_url), DRIVERS[driver]
    queue, messages = Queue("q")(connection), []
    queue.declare()
    for number in range(3):
        connection.Producer().publish(number, routing_key="q")
    consumer = connection.Consumer([queue], on_message=messages.append)
    consumer.consume()
    run(connection, lambda: len(messages) == 3)
    begun, *waiting = messages
    messages.clear()
    elsewhere = other.SimpleQueue("q")
    dropped = {waiting.pop().payload}
    kombu_sns_sqs.drain(connection)
    assert elsewhere.get(timeout=10).payload in dropped
    dropped = {waiting.pop().payload}
    assert elsewhere.get(timeout=10).payload in dropped
    begun.ack()
    polls = relay.calls["ReceiveMessage"]
    other.Producer().publish("new", routing_key="q")
    assert elsewhere.get(timeout=10).payload == "new"
    assert relay.calls["ReceiveMessage"] == polls
    consumer.cancel()
    connection.release()
    with pytest.raises(elsewhere.Empty):
        elsewhere.get(timeout=1)


def test_draining_what_is_not_open_is_nothing(connect: Connect, relay: Relay) -> None:
    """A worker may stop before it has a connection."""
    kombu_sns_sqs.drain(connect())
    kombu_sns_sqs.drain(Connection("memory://"))
    assert sum(relay.calls.values()) == 0


def test_options_and_queues_are_read_without_asking_anybody(connect: Connect, relay: Relay) -> None:
    """What is wrong with them is known before a worker starts."""
    assert kombu_sns_sqs.options_of(connect(visibility_timeout=77)).visibility_timeout == 77
    for broken, says in ((connect(visiblity=1), "unknown option 'visiblity'"), (Connection("memory://"), "'memory'")):
        with pytest.raises(kombu_sns_sqs.OptionsError, match=says):
            kombu_sns_sqs.options_of(broken)
    queue: Any = Queue("q", max_priority=3, message_ttl=5, queue_arguments={"x-max-receive-count": 2})
    declaration = kombu_sns_sqs.declaration_of(queue)
    assert (declaration.levels, declaration.ttl_ms, declaration.dead_letters.queue) == (4, 5000, "q-dead")
    with pytest.raises(kombu_sns_sqs.NotEquivalent, match="x-max-priority"):
        kombu_sns_sqs.declaration_of(Queue("q", max_priority=99))
    assert sum(relay.calls.values()) == 0
