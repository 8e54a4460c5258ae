"""What is not due yet waits, in an SQS that was not written here: in its queue, in a companion, for a FIFO queue."""

from __future__ import annotations

import time
import uuid
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from kombu import Connection, Exchange, Queue

import kombu_sns_sqs
from tests.brokers.emulators import Emulator, Localstack, Ministack, Moto
from tests.conformance.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 20.0


@pytest.fixture(scope="module", params=[Ministack, Moto, Localstack], ids=lambda engine: engine.name)
def emulator(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    """Each of them in turn."""
    emulator: Emulator = request.param()
    reason = emulator.available()
    if reason is not None:
        pytest.skip(reason)
    emulator.start()
    yield emulator
    emulator.stop()


@pytest.fixture
def connection(emulator: Emulator) -> Iterator[Connection]:
    """A connection with a name prefix of its own."""
    url = emulator.url_for(f"d{uuid.uuid4().hex[:8]}")
    with Connection(url, transport_options={**emulator.transport_options, "wait_time_seconds": 1}) as connection:
        yield connection


def task(seconds: float) -> dict[str, Any]:
    """The headers of a task that is due in so many seconds."""
    return {"task": "t", "id": "1", "eta": (datetime.now(timezone.utc) + timedelta(seconds=seconds)).isoformat()}


def consume(connection: Connection, queue: Queue) -> float:
    """Wait for a message, ack it, and tell when it came."""
    got: list[float] = []
    deadline = time.monotonic() + PATIENCE
    with connection.Consumer([queue], on_message=lambda message: (got.append(time.time()), message.ack())):
        while not got:
            assert time.monotonic() < deadline, "it never came"
            try:
                connection.drain_events(timeout=0.5)
            except TimeoutError:
                continue
    return got[0]


@pytest.mark.parametrize("name", ["q", "q.fifo"])
@pytest.mark.parametrize("route", ["queue", "topic"])
def test_a_task_is_delivered_when_it_is_due(connection: Connection, name: str, route: str) -> None:
    """Not before the two seconds that are Celery's, and not later than two seconds after."""
    exchange = Exchange(f"e{'.fifo' if name.endswith('.fifo') else ''}" if route == "topic" else "", type="fanout")
    queue = Queue(name, exchange) if route == "topic" else Queue(name)
    queue(connection).declare()
    due = time.time() + 4
    where = {"exchange": exchange.name} if route == "topic" else {"routing_key": name}
    connection.Producer().publish("x", headers=task(4), message_group_id="g", **where)
    came = consume(connection, queue)
    assert due - 2.1 <= came <= due + 2
    eventually(lambda: kombu_sns_sqs.scheduled(connection, name) == 0)


def test_what_waits_is_counted(connection: Connection) -> None:
    """In the queue and in its companion, and not as ready."""
    queue = Queue("q")
    queue(connection).declare()
    for seconds in (100, 3600):
        connection.Producer().publish("x", routing_key="q", headers=task(seconds))
    eventually(lambda: kombu_sns_sqs.scheduled(connection, "q") == 2)
    assert queue(connection).queue_declare(passive=True).message_count == 0
