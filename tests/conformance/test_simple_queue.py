"""kombu's SimpleQueue and SimpleBuffer: a broker as if it were `queue.Queue`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from .waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kombu import Connection

    from .fixtures import Connect, Names


@pytest.fixture
def simple(connection: Connection, names: Names) -> Iterator[Any]:
    """A simple queue."""
    with connection.SimpleQueue(names("simple")) as simple:
        yield simple


def test_what_is_put_can_be_got(simple: Any) -> None:
    """With its body and headers."""
    simple.put({"n": 1}, headers={"h": "x"})
    message = simple.get(timeout=10)
    message.ack()
    assert (message.payload, message.headers["h"]) == ({"n": 1}, "x")


def test_get_from_an_empty_queue_raises_empty_after_its_timeout(simple: Any) -> None:
    """`queue.Empty`, as the standard library has it."""
    with pytest.raises(simple.Empty):
        simple.get(timeout=0.3)


def test_get_without_blocking_raises_empty(simple: Any) -> None:
    """Without waiting at all."""
    with pytest.raises(simple.Empty):
        simple.get(block=False)


def test_get_without_blocking_returns_what_is_there(simple: Any) -> None:
    """The synchronous way to a message."""
    simple.put("hello")

    def get() -> Any:
        try:
            return simple.get_nowait()
        except simple.Empty:
            return None

    message = eventually(get)
    message.ack()
    assert message.payload == "hello"


def test_qsize_counts_what_is_waiting(simple: Any) -> None:
    """And so does `len`."""
    assert simple.qsize() == 0
    for number in range(3):
        simple.put(number)
    eventually(lambda: simple.qsize() == 3)
    assert len(simple) == 3


def test_clear_throws_away_what_is_waiting(simple: Any) -> None:
    """And says how much it was."""
    for number in range(3):
        simple.put(number)
    eventually(lambda: simple.qsize() == 3)
    assert simple.clear() == 3
    with pytest.raises(simple.Empty):
        simple.get(timeout=0.3)


def test_another_connection_gets_what_was_put(simple: Any, connect: Connect, names: Names) -> None:
    """A simple queue is a queue like any other."""
    simple.put("hello")
    with connect().SimpleQueue(names("simple")) as other:
        message = other.get(timeout=10)
        message.ack()
    assert message.payload == "hello"


def test_simple_buffer_passes_messages_without_acks(connection: Connection, names: Names) -> None:
    """An exclusive queue that goes with its connection."""
    with connection.SimpleBuffer(names("buffer")) as buffer:
        for number in range(2):
            buffer.put(number)
        assert sorted(buffer.get(timeout=10).payload for _ in range(2)) == [0, 1]
        with pytest.raises(buffer.Empty):
            buffer.get(timeout=0.3)
