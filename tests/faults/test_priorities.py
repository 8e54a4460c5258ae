"""What levels of priority cost and whom they serve first, seen from the requests that are made."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest
from kombu import Connection, Queue

import kombu_sns_sqs
from kombu_sns_sqs import errors
from tests.conformance.waiting import eventually
from tests.faults.conftest import drain_until, run_hub
from tests.faults.relay import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from kombu_sns_sqs.local import LocalService
    from tests.faults.relay import Relay, Request

    Connect = Callable[..., Connection]

LEVELS = range(4)


class Waits:
    """Notes for how long each level is asked to wait, and lets the request through, or says that there is nothing."""

    def __init__(self, *, empty: bool = False) -> None:
        self.by_queue: dict[str, list[int]] = defaultdict(list)
        self._empty = empty
        self._lock = threading.Lock()

    def apply(self, request: Request, relay: Relay) -> Answer | None:
        """Note, and answer."""
        asked = json.loads(request.body)
        with self._lock:
            self.by_queue[asked["QueueUrl"]].append(asked["WaitTimeSeconds"])
        return Answer(200, b"{}") if self._empty else relay.forward(request)


def urgent(connection: Connection, *, max_priority: int = len(LEVELS) - 1) -> Queue:
    """Declare a queue with levels."""
    queue = Queue("urgent", max_priority=max_priority)(connection)
    queue.declare()
    return queue


@pytest.mark.parametrize("driver", ["drain", "hub"])
def test_an_idle_level_costs_what_an_idle_queue_costs(connect: Connect, relay: Relay, driver: str) -> None:
    """It is asked once without waiting, and by long polls ever after: three a minute and level, whatever their number.

    Without an event loop they grow to that from a second.
    """
    connection, waits = connect(wait_time_seconds=20), Waits(empty=True)
    queue = urgent(connection)
    relay.fault("ReceiveMessage", waits)
    run = drain_until if driver == "drain" else run_hub
    with connection.Consumer([queue], on_message=lambda _: None):
        run(connection, lambda: len(waits.by_queue) == 4 and min(map(len, waits.by_queue.values())) >= 8)
    grown = [1, 2, 4, 8, 16, 20, 20] if driver == "drain" else [20] * 7
    assert [asked[:8] for asked in waits.by_queue.values()] == [[0, *grown]] * len(LEVELS)


def test_traffic_on_a_low_level_does_not_have_the_upper_ones_asked_more_often(
    connect: Connect, relay: Relay, service: LocalService
) -> None:
    """Thirty messages of the lowest: the others see a long poll in flight and no more."""
    connection, waits, received = connect(wait_time_seconds=10), Waits(), []
    queue, producer = urgent(connection), connect(straight=service.endpoint_url).Producer()
    relay.fault("ReceiveMessage", waits)
    with connection.Consumer([queue], on_message=lambda message: (received.append(message), message.ack())):
        run_hub(connection, lambda: len(waits.by_queue) == 4 and min(map(len, waits.by_queue.values())) == 2)
        for number in range(30):
            producer.publish(number, routing_key="urgent", priority=0)
            run_hub(connection, lambda number=number: len(received) > number)
    asked = sorted(len(waits) for waits in waits.by_queue.values())
    assert asked[:-1] == [2, 2, 2]
    assert asked[-1] >= 30


@pytest.mark.parametrize("window", [1, 4])
def test_with_all_levels_backlogged_the_upper_go_first(connect: Connect, service: LocalService, window: int) -> None:
    """Strictly, also where the window is small: no slot of it goes to a level while one above has messages."""
    connection, received = connect(straight=service.endpoint_url), []
    queue = urgent(connection)
    for number in range(40):
        connection.Producer().publish(number % 4, routing_key="urgent", priority=number % 4)
    in_hand: list[Any] = []

    def on_message(message: Any) -> None:
        received.append(message.payload)
        in_hand.append(message)
        if len(in_hand) == window:
            in_hand.pop(0).ack()

    with connection.Consumer([queue], on_message=on_message, prefetch_count=window):
        drain_until(connection, lambda: len(received) == 40)
    assert received == [3] * 10 + [2] * 10 + [1] * 10 + [0] * 10


def test_a_queue_declared_with_other_priorities_says_so(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    """Whichever of the two is the higher; refused on demand, by each process that looks for the first time."""
    urgent(connect())
    for highest in (2, 9):
        kombu_sns_sqs.shutdown()
        caplog.clear()
        urgent(connect(), max_priority=highest)
        assert f"it has 4 level(s) of priority and keeps them, declared are {highest + 1}" in caplog.text
        with pytest.raises(errors.NotEquivalent, match="declared are"):
            urgent(connect(topology="validate"), max_priority=highest)
    kombu_sns_sqs.shutdown()
    caplog.clear()
    urgent(connect(topology="validate"))
    urgent(connect())
    assert "differs" not in caplog.text


@pytest.mark.parametrize(("one", "other"), [(3, 1), (1, 3)])
def test_what_is_published_by_one_declaration_is_consumed_by_another(connect: Connect, one: int, other: int) -> None:
    """The queue keeps the levels it was made with, so none has messages that not everybody knows of."""
    urgent(connect(), max_priority=one)
    for publisher, consumer in ((one, other), (other, one)):
        kombu_sns_sqs.shutdown()
        connection = connect()
        urgent(connection, max_priority=publisher)
        connection.Producer().publish(publisher, routing_key="urgent", priority=3)
        kombu_sns_sqs.shutdown()
        connection = connect()
        queue = urgent(connection, max_priority=consumer)
        message = eventually(queue.get)
        message.ack()
        assert message.payload == publisher
