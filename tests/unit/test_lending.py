"""Deletes that leave with the event loop's own requests, and what becomes of them where it stands still."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from kombu_sns_sqs.errors import Failure, Kind
from kombu_sns_sqs.settling.settler import Settler
from tests.unit.scripted_client import PATIENCE, Script, delivery, until

if TYPE_CHECKING:
    from collections.abc import Iterator

THROTTLED = Failure(kind=Kind.THROTTLED, code="RequestThrottled")
STALE = Failure(kind=Kind.STALE_RECEIPT, code="ReceiptHandleIsInvalid")


@pytest.fixture
def thread() -> Script:
    """The client of the settling thread."""
    return Script()


@pytest.fixture
def loop() -> Script:
    """The client of the event loop."""
    return Script()


@pytest.fixture
def settler(thread: Script, loop: Script) -> Iterator[Settler]:
    """A settler that is called by the loop's thread."""
    settler = Settler(client=lambda: thread, lease_seconds=60, ack_delay=0.02, carrier=lambda: loop)
    yield settler
    settler.stop(0.5)


def ack(settler: Settler, *numbers: int) -> None:
    """Hold and ack messages."""
    for number in numbers:
        settler.hold(delivery(number))
    for number in numbers:
        settler.ack(delivery(number))


def handles(*numbers: int) -> list[str]:
    """Their receipt handles."""
    return [f"h{number}" for number in numbers]


def test_what_fills_a_request_leaves_with_the_loop(settler: Settler, thread: Script, loop: Script) -> None:
    """At once, and without a word to the thread; with the answer it is done."""
    ack(settler, *range(20))
    assert [len(entries) for _, entries in loop.asked] == [10, 10]
    loop.run_once(0)
    assert settler.flush(PATIENCE)
    assert loop.handles("DeleteMessageBatch") == handles(*range(20))
    assert thread.calls("DeleteMessageBatch") == 0


def test_what_fills_none_is_the_threads(settler: Settler, thread: Script, loop: Script) -> None:
    """The loop may have no other reason to turn."""
    ack(settler, *range(12))
    loop.run_once(0)
    until(lambda: thread.handles("DeleteMessageBatch") == handles(10, 11))
    assert loop.handles("DeleteMessageBatch") == handles(*range(10))


def test_with_no_delay_for_acks_the_loop_gets_full_requests_alone(thread: Script, loop: Script) -> None:
    """Each of fewer is paid for like one of ten; the thread sends them when it gets to it."""
    settler = Settler(client=lambda: thread, lease_seconds=60, ack_delay=0, carrier=lambda: loop)
    thread.sleeps_on = True
    ack(settler, *range(35))
    assert {len(entries) for _, entries in loop.asked} <= {10}
    loop.run_once(0)
    assert settler.flush(PATIENCE)
    thread.sleeps_on = False
    settler.stop(1)


@pytest.mark.parametrize("broken", ["carrier", "client"])
def test_an_ack_does_not_raise_what_the_loop_does(
    thread: Script, loop: Script, caplog: pytest.LogCaptureFixture, broken: str
) -> None:
    """That would end a worker, and drop the acks behind it; the thread sends it in time."""

    def breaks(*_: object) -> Any:
        raise RuntimeError("can't start new thread")

    if broken == "client":
        loop.call = breaks  # type: ignore[method-assign]
    carrier = breaks if broken == "carrier" else lambda: loop
    settler = Settler(client=lambda: thread, lease_seconds=4, ack_delay=0.02, carrier=carrier)
    ack(settler, *range(10))
    until(lambda: thread.handles("DeleteMessageBatch") == handles(*range(10)))
    assert settler.flush(PATIENCE)
    assert "acks could not be sent on the event loop" in caplog.text
    settler.stop(1)


def test_renewals_and_what_is_given_back_stay_with_the_thread(thread: Script, loop: Script) -> None:
    """They must not depend on a loop, and are due while it has deletes."""
    now = 1000.0
    settler = Settler(client=lambda: thread, lease_seconds=60, ack_delay=5, carrier=lambda: loop, clock=lambda: now)
    thread.kept_back.add("ChangeMessageVisibilityBatch")
    settler.hold(delivery(100))
    ack(settler, *range(9))
    settler.hold(delivery(9))
    now += 50
    settler.release(delivery(200))
    settler.ack(delivery(9))
    assert [action for action, _ in loop.asked] == ["DeleteMessageBatch"]
    until(lambda: sorted(thread.handles("ChangeMessageVisibilityBatch")) == handles(100, 200))
    thread.answer_kept_back()
    settler.stop(1)


def test_the_thread_sleeps_on_while_the_loop_carries(thread: Script, loop: Script) -> None:
    """The first ack of a batch does not wake it, nor does the one that fills it: each change of threads costs."""
    now = 1000.0
    settler = Settler(client=lambda: thread, lease_seconds=60, ack_delay=0.05, carrier=lambda: loop, clock=lambda: now)
    settler.hold(delivery(0))
    ack(settler, *range(1, 12))
    loop.run_once(0)
    now += 0.06
    # The one that is over; from now on the thread knows that there is work.
    until(lambda: thread.handles("DeleteMessageBatch") == handles(11))
    woken = thread.woken
    ack(settler, *range(20, 60))
    assert thread.woken == woken
    assert loop.calls("DeleteMessageBatch") == 5
    settler.stop(1)


def test_a_thread_knows_from_what_the_loop_carries_that_there_is_work(thread: Script, loop: Script) -> None:
    """Having sent nothing itself."""
    now = 1000.0
    settler = Settler(client=lambda: thread, lease_seconds=60, ack_delay=0.05, carrier=lambda: loop, clock=lambda: now)
    thread.sleeps_on = True
    settler.hold(delivery(0))
    ack(settler, *range(1, 11))
    loop.run_once(0)
    thread.wake()
    until(lambda: thread.pause == 0.05)
    until(lambda: thread.asleep)
    woken = thread.woken
    ack(settler, 20)
    assert thread.woken == woken
    thread.sleeps_on = False
    settler.stop(1)


def test_what_a_loop_that_stands_still_was_to_send_is_sent_by_the_thread(loop: Script, thread: Script) -> None:
    """Before a lease ends; the loop's own answer, when it comes, changes nothing."""
    settler = Settler(client=lambda: thread, lease_seconds=2, ack_delay=0.02, carrier=lambda: loop)
    began = time.monotonic()
    ack(settler, *range(10))
    assert loop.calls("DeleteMessageBatch") == 1
    until(lambda: thread.handles("DeleteMessageBatch") == handles(*range(10)))
    assert time.monotonic() - began < 2
    loop.run_once(0)
    ack(settler, 50)
    assert settler.flush(2)
    assert thread.handles("DeleteMessageBatch") == handles(*range(10), 50)
    settler.stop(1)


def test_the_thread_wakes_in_time_for_what_a_loop_leaves_unanswered(thread: Script, loop: Script) -> None:
    """Nobody else would wake it."""
    now = 1000.0
    settler = Settler(client=lambda: thread, lease_seconds=60, ack_delay=0.05, carrier=lambda: loop, clock=lambda: now)
    thread.sleeps_on = True
    ack(settler, *range(10))
    now += 1.5
    thread.wake()
    until(lambda: thread.pause == 0.5)
    now += 0.5
    thread.wake()
    until(lambda: thread.handles("DeleteMessageBatch") == handles(*range(10)))
    thread.sleeps_on = False
    settler.stop(1)


def test_a_thread_that_sleeps_for_longer_than_a_loop_may_take_is_woken(thread: Script, loop: Script) -> None:
    """So that it looks in time whether there was an answer."""
    now = 1000.0
    settler = Settler(client=lambda: thread, lease_seconds=60, ack_delay=5, carrier=lambda: loop, clock=lambda: now)
    thread.sleeps_on = True
    for number in range(10):
        settler.hold(delivery(number))
    for number in range(9):
        settler.ack(delivery(number))
    until(lambda: thread.asleep and thread.pause == 5.0)
    settler.ack(delivery(9))
    assert loop.calls("DeleteMessageBatch") == 1
    until(lambda: thread.pause == 2.0)
    thread.sleeps_on = False
    settler.stop(1)


def test_what_a_loop_is_refused_is_tried_again_by_the_thread(settler: Settler, thread: Script, loop: Script) -> None:
    """Entry by entry, and without anybody who acks meanwhile."""
    loop.failures["DeleteMessageBatch", "h3"] = [THROTTLED]
    ack(settler, *range(10))
    until(lambda: thread.asleep)
    woken = thread.woken
    loop.run_once(0)
    assert thread.woken == woken + 1
    until(lambda: thread.handles("DeleteMessageBatch") == handles(3))
    assert settler.flush(PATIENCE)


def test_what_is_refused_for_good_is_said(
    settler: Settler, thread: Script, loop: Script, caplog: pytest.LogCaptureFixture
) -> None:
    """As it is where the thread sends."""
    caplog.set_level("INFO")
    loop.failures["DeleteMessageBatch", "h3"] = [STALE]
    ack(settler, *range(10))
    loop.run_once(0)
    assert settler.flush(PATIENCE)
    assert "message m3 was no longer ours to delete" in caplog.text
    assert thread.calls("DeleteMessageBatch") == 0


def test_a_loop_whose_client_is_closed_leaves_its_deletes_to_the_thread(
    settler: Settler, thread: Script, loop: Script
) -> None:
    """What that says of them is no reason to give up."""
    ack(settler, *range(10))
    loop.failures["DeleteMessageBatch", None] = [Failure(kind=Kind.UNREACHABLE, code="Closed")]
    loop.run_once(0)
    until(lambda: sorted(thread.handles("DeleteMessageBatch")) == handles(*range(10)))
    assert settler.flush(PATIENCE)


def test_a_flush_waits_for_no_loop(settler: Settler, thread: Script, loop: Script) -> None:
    """It may be called in the loop's own thread."""
    ack(settler, *range(10))
    began = time.monotonic()
    assert settler.flush(PATIENCE)
    assert time.monotonic() - began < 2
    assert thread.handles("DeleteMessageBatch") == loop.handles("DeleteMessageBatch") == handles(*range(10))
