"""A callback that takes its time keeps its whole thread: answers come meanwhile, and nobody is there to read them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from kombu import Connection, Queue

from tests.faults.conftest import drain_until, run_hub

if TYPE_CHECKING:
    from collections.abc import Callable

    from kombu_sns_sqs.local import LocalService
    from tests.faults.relay import Relay

    Connect = Callable[..., Connection]


def lost_to(other: Connection) -> Any:
    """Publish a message that the poll takes which this thread has left open; wait until somebody else can have it."""
    other.Producer().publish("quick", routing_key="quick")
    # The emulator looks into its queues for those who wait only now and then.
    time.sleep(0.5)
    asked = time.monotonic()
    message = other.SimpleQueue("quick").get(timeout=8)
    assert time.monotonic() - asked > 1, "no poll was open"
    # SQS stamps its answers to the second.
    time.sleep(1.1)
    return message


@pytest.mark.parametrize("driver", ["drain", "hub"])
def test_what_came_for_a_thread_that_was_away_for_a_lease_is_left_to_others(
    connect: Connect, relay: Relay, service: LocalService, driver: str
) -> None:
    """Nobody renewed its lease: it has run elsewhere when the thread comes back, and must not run again."""
    connection = connect(visibility_timeout=2, wait_time_seconds=8, read_timeout=10)
    other = connect(straight=service.endpoint_url, visibility_timeout=3)
    run, received, elsewhere = drain_until if driver == "drain" else run_hub, [], []
    queues = [Queue(name)(connection) for name in ("slow", "quick")]
    for queue in queues:
        queue.declare()

    def on_message(message: Any) -> None:
        received.append(message.payload)
        if message.payload == "slow":
            elsewhere.append(lost_to(other))
        message.ack()

    with connection.Consumer(queues, on_message=on_message):
        # Without an event loop the first polls are short: the third ones are open for long enough.
        run(connection, lambda: relay.calls["ReceiveMessage"] >= (6 if driver == "drain" else 2))
        connection.Producer().publish("slow", routing_key="slow")
        run(connection, lambda: received)
        with pytest.raises(AssertionError, match="nothing came in time"):
            run(connection, lambda: len(received) > 1, timeout=1)
        elsewhere[0].ack()
        other.Producer().publish("after", routing_key="quick")
        run(connection, lambda: "after" in received)
    assert received == ["slow", "after"]


def test_what_came_for_a_consumer_that_is_gone_is_not_taken_from_who_has_it_by_now(
    connect: Connect, relay: Relay, service: LocalService
) -> None:
    """To give it back would make it visible while somebody else works on it."""
    connection = connect(visibility_timeout=2, wait_time_seconds=8, read_timeout=10)
    other = connect(straight=service.endpoint_url, visibility_timeout=30)
    received, elsewhere = [], []
    slow, quick = (Queue(name)(connection) for name in ("slow", "quick"))
    for queue in (slow, quick):
        queue.declare()

    def on_message(message: Any) -> None:
        received.append(message.payload)
        message.ack()
        elsewhere.append(lost_to(other))
        consumers[1].cancel()

    consumers = [connection.Consumer([queue], on_message=on_message) for queue in (slow, quick)]
    with consumers[0], consumers[1]:
        drain_until(connection, lambda: relay.calls["ReceiveMessage"] >= 6)
        connection.Producer().publish("slow", routing_key="slow")
        drain_until(connection, lambda: received)
        with pytest.raises(AssertionError, match="nothing came in time"):
            drain_until(connection, lambda: len(received) > 1, timeout=1)
    connection.close()
    assert elsewhere
    assert relay.calls["ChangeMessageVisibilityBatch"] == 0
