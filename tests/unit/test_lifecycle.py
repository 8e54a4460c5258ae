"""The thread for work that may wait."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from kombu_sns_sqs.lifecycle import Housekeeper, Patience

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 10.0


@pytest.fixture
def housekeeper() -> Iterator[Housekeeper]:
    """A housekeeper, stopped at the end."""
    housekeeper = Housekeeper()
    yield housekeeper
    housekeeper.stop()


def test_jobs_run_in_the_order_of_their_times(housekeeper: Housekeeper) -> None:
    """Not in that in which they were given; jobs of one time in the order they came."""
    done: list[str] = []
    finished = threading.Event()
    housekeeper.call_later(0.2, finished.set)
    housekeeper.call_later(0.1, lambda: done.append("later"))
    housekeeper.call_later(0, lambda: done.append("first"))
    assert finished.wait(PATIENCE)
    assert done == ["first", "later"]


def test_an_earlier_job_does_not_wait_for_a_later_one(housekeeper: Housekeeper) -> None:
    """The thread sleeps until the first is due, and is woken when that changes."""
    done = threading.Event()
    housekeeper.call_later(60, lambda: None)
    housekeeper.call_later(0.05, done.set)
    assert done.wait(PATIENCE)


def test_a_job_that_raises_is_logged_and_the_next_one_runs(
    housekeeper: Housekeeper, caplog: pytest.LogCaptureFixture
) -> None:
    """One failure is not the end of housekeeping."""
    done = threading.Event()
    housekeeper.call_later(0, lambda: 1 // 0)
    housekeeper.call_later(0, done.set)
    assert done.wait(PATIENCE)
    assert "a housekeeping job failed" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_one_whose_thread_could_not_begin_can_be_stopped_and_begun_again(
    housekeeper: Housekeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the interpreter ends no thread begins; what has to end after it is not skipped."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    done = threading.Event()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError):
            housekeeper.call_later(0.0, done.set)
    housekeeper.start()
    assert done.wait(10)
    other = Housekeeper()
    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RuntimeError):
        other.start()
    other.stop()


def test_a_job_may_ask_for_another(housekeeper: Housekeeper) -> None:
    """As a filter does that has to wait for quiet a little longer."""
    done = threading.Event()
    housekeeper.call_later(0, lambda: housekeeper.call_later(0.01, done.set))
    assert done.wait(PATIENCE)


def test_a_stop_drops_what_has_not_begun_and_waits_for_what_has() -> None:
    """Nothing runs after it."""
    housekeeper, begun, ran = Housekeeper(), threading.Event(), []

    def job() -> None:
        begun.set()
        time.sleep(0.1)
        ran.append("begun")

    housekeeper.call_later(0, job)
    assert begun.wait(PATIENCE)
    housekeeper.call_later(0, lambda: ran.append("not begun"))
    housekeeper.stop(PATIENCE)
    assert ran == ["begun"]
    housekeeper.call_later(0, lambda: ran.append("too late"))
    assert ran == ["begun"]


def test_a_stop_from_within_a_job_does_not_wait_for_itself(housekeeper: Housekeeper) -> None:
    """It would wait for ever."""
    done = threading.Event()
    housekeeper.call_later(0, lambda: (housekeeper.stop(PATIENCE), done.set()))
    assert done.wait(PATIENCE / 2)


def test_one_that_never_ran_stops_at_once() -> None:
    """And has no thread."""
    before = threading.active_count()
    housekeeper = Housekeeper()
    assert threading.active_count() == before
    housekeeper.stop()


def test_patience_is_worn_by_a_wait_in_vain_and_recovers() -> None:
    """Of several connections that close one after the other the first one alone waits for a service that is away."""
    now = 1000.0
    patience = Patience(10, worn=1, clock=lambda: now)
    assert patience.deadline() == 1010
    patience.was_in_vain()
    now += 30
    assert patience.deadline() == 1031
    now += 31
    assert patience.deadline() == 1071


def test_worn_patience_is_not_longer_than_patience() -> None:
    """Who asks for no wait at all has none."""
    patience = Patience(0, worn=1, clock=lambda: 1000.0)
    patience.was_in_vain()
    assert patience.deadline() == 1000
