"""The polls that were open when their connection closed."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any

import pytest

from kombu_sns_sqs.receiving.last_polls import LastPolls

PATIENCE = 10.0


@dataclass
class FakeQueue:
    """A queue, as far as it matters."""

    name: str = "q"
    lasting: bool = True


@dataclass
class FakePoller:
    """A poller with one poll in flight, which should be answered by now."""

    queue: FakeQueue = field(default_factory=FakeQueue)
    in_flight: int = 1
    open_until: float = field(default_factory=time.monotonic)
    given_back: bool = False


class FakeClient:
    """Answers when it is told to; what an answer brings is given back some time after the poll counts as answered."""

    def __init__(self, *pollers: FakePoller) -> None:
        self.pollers = pollers
        self.answers = threading.Event()
        self.closed = threading.Event()

    @property
    def in_flight(self) -> int:
        """How many polls are open."""
        return sum(poller.in_flight for poller in self.pollers)

    def run_once(self, timeout: float) -> None:
        """Answer the polls of lasting queues."""
        if self.answers.wait(min(timeout, 0.05)):
            for poller in self.pollers:
                if poller.queue.lasting:
                    poller.in_flight = 0
                    time.sleep(0.1)
                    poller.given_back = True

    def close(self) -> None:
        """Note that."""
        self.closed.set()


def last_polls(*pollers: FakePoller, margin: float = PATIENCE) -> tuple[Any, FakeClient]:
    """Make the last polls of some pollers, and their client."""
    client = FakeClient(*pollers)
    made: Any = LastPolls
    return made(client, pollers, margin=margin), client


def test_they_are_waited_for_until_what_they_brought_is_given_back() -> None:
    """Not only until they are answered; then their client is closed."""
    poller = FakePoller()
    polls, client = last_polls(poller)
    polls.start()
    assert polls.open
    client.answers.set()
    assert polls.wait()
    assert poller.given_back
    assert client.closed.wait(PATIENCE)


def test_those_of_queues_that_are_deleted_are_not_waited_for() -> None:
    """They go on, for as long as the process does."""
    poller, temporary = FakePoller(), FakePoller(queue=FakeQueue("own", lasting=False))
    polls, client = last_polls(poller, temporary)
    polls.start()
    client.answers.set()
    assert polls.wait()
    assert temporary.in_flight
    assert not client.closed.is_set()
    temporary.in_flight = 0
    assert client.closed.wait(PATIENCE)


def test_one_that_is_overdue_is_named_and_not_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    """The service cannot be reached."""
    poller = FakePoller()
    polls, client = last_polls(poller, margin=0.1)
    polls.start()
    assert not polls.wait()
    assert "the last polls of queue 'q' were not answered" in caplog.text
    client.answers.set()
    assert client.closed.wait(PATIENCE)


def test_an_answer_that_nobody_has_read_yet_is_not_overdue() -> None:
    """A process that stood still finds it on its socket."""
    poller = FakePoller(open_until=time.monotonic() - 100)
    polls, client = last_polls(poller)
    client.answers.set()
    polls.start()
    assert polls.wait()
    assert poller.given_back


@pytest.mark.parametrize("answered", [True, False])
def test_where_no_thread_can_begin_the_caller_sees_to_them(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, *, answered: bool
) -> None:
    """As when the interpreter ends, for no longer than a thread is waited for."""

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    poller, temporary = FakePoller(), FakePoller(queue=FakeQueue("own", lasting=False))
    polls, client = last_polls(poller, temporary, margin=PATIENCE if answered else 0.1)
    if answered:
        client.answers.set()
    polls.start()
    assert client.closed.is_set()
    assert polls.wait() is answered
    assert poller.given_back is answered


def test_in_a_forked_child_nothing_is_waited_for() -> None:
    """Its client has forgotten the parent's requests, though the pollers have not."""
    poller = FakePoller()
    made: Any = LastPolls
    client = FakeClient()
    polls = made(client, [poller])
    polls.start()
    assert client.closed.wait(PATIENCE)
    assert polls.wait()
