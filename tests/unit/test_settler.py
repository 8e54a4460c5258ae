"""The thread that settles, with a client that answers as it is told."""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import TYPE_CHECKING

import pytest

from kombu_sns_sqs.clock import Clock, lease_clock
from kombu_sns_sqs.errors import Failure, Kind
from kombu_sns_sqs.settling.holdings import Verdict
from kombu_sns_sqs.settling.settler import Settler
from tests.unit.scripted_client import PATIENCE, Script, delivery, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STALE = Failure(kind=Kind.STALE_RECEIPT, code="ReceiptHandleIsInvalid")
THROTTLED = Failure(kind=Kind.THROTTLED, code="RequestThrottled")


@pytest.fixture
def client() -> Script:
    """The client of the settling thread."""
    return Script()


@pytest.fixture
def make_settler(client: Script) -> Iterator[Callable[..., Settler]]:
    """A factory of settlers that are stopped at the end."""
    made: list[Settler] = []

    def make(*, lease_seconds: int = 60, ack_delay: float = 0.02, clock: Clock = lease_clock) -> Settler:
        made.append(Settler(client=lambda: client, lease_seconds=lease_seconds, ack_delay=ack_delay, clock=clock))
        return made[-1]

    yield make
    client.answer_kept_back()
    for settler in made:
        settler.stop(0.5)


def test_ten_acks_are_one_request_and_an_eleventh_waits_for_others(
    client: Script, make_settler: Callable[..., Settler]
) -> None:
    """A full batch goes at once, however long an ack may wait."""
    settler = make_settler(ack_delay=5)
    for number in range(11):
        settler.hold(delivery(number))
        settler.ack(delivery(number))
    until(lambda: client.calls("DeleteMessageBatch") == 1)
    assert client.handles("DeleteMessageBatch") == [f"h{number}" for number in range(10)]
    assert settler.flush(5)
    assert client.handles("DeleteMessageBatch")[10:] == ["h10"]


def test_an_ack_wakes_a_thread_that_sleeps(client: Script, make_settler: Callable[..., Settler]) -> None:
    """Of an idle one the first ack, so that it notes the time; then the one that fills a batch."""
    client.sleeps_on = True
    settler = make_settler(ack_delay=2)
    for number in range(10):
        settler.hold(delivery(number))
    until(lambda: client.asleep)
    woken = client.woken
    settler.ack(delivery(0))
    assert client.woken == woken + 1
    until(lambda: client.asleep)
    for number in range(1, 10):
        settler.ack(delivery(number))
    until(lambda: client.calls("DeleteMessageBatch") == 1)


def test_the_first_ack_of_a_batch_does_not_wake_a_busy_thread(
    client: Script, make_settler: Callable[..., Settler]
) -> None:
    """It wakes by itself in time; a batch that is full leaves without any time having passed."""
    now = 1000.0
    settler = make_settler(ack_delay=0.05, clock=lambda: now)
    for number in range(12):
        settler.hold(delivery(number))
    settler.ack(delivery(0))
    now += 0.06
    until(lambda: client.calls("DeleteMessageBatch") == 1)
    woken = client.woken
    settler.ack(delivery(1))
    assert client.woken == woken
    now += 0.06
    until(lambda: client.calls("DeleteMessageBatch") == 2)
    for number in range(2, 12):
        settler.ack(delivery(number))
    until(lambda: client.calls("DeleteMessageBatch") == 3)
    assert client.woken - woken <= 1


def test_while_batches_fill_one_after_the_other_no_ack_wakes_the_thread(
    client: Script, make_settler: Callable[..., Settler]
) -> None:
    """It looks for them by itself, which takes the interpreter from who acks less often."""
    settler = make_settler(ack_delay=0.05, clock=lambda: 1000.0)
    for number in range(200):
        settler.hold(delivery(number))
    for number in range(10):
        settler.ack(delivery(number))
    until(lambda: client.calls("DeleteMessageBatch") == 1)
    woken = client.woken
    for number in range(10, 200):
        settler.ack(delivery(number))
    until(lambda: len(client.handles("DeleteMessageBatch")) == 200)
    assert client.calls("DeleteMessageBatch") == 20
    assert client.woken - woken <= 1


def test_every_queue_has_batches_of_its_own(client: Script, make_settler: Callable[..., Settler]) -> None:
    """A batch request is for one queue."""
    settler = make_settler()
    for number in range(4):
        settler.ack(delivery(number, queue=f"q{number % 2}"))
    assert settler.flush(5)
    assert client.calls("DeleteMessageBatch") == 2


def test_the_entry_that_failed_is_sent_again_alone(client: Script, make_settler: Callable[..., Settler]) -> None:
    """The others are done."""
    settler = make_settler(ack_delay=5)
    client.failures["DeleteMessageBatch", "h3"] = [THROTTLED, THROTTLED]
    for number in range(10):
        settler.ack(delivery(number))
    assert settler.flush(PATIENCE)
    assert client.handles("DeleteMessageBatch") == [*[f"h{number}" for number in range(10)], "h3", "h3"]


def test_a_whole_request_that_failed_is_sent_again(client: Script, make_settler: Callable[..., Settler]) -> None:
    """Entry by entry: which of them failed is not known."""
    settler = make_settler(ack_delay=5)
    client.failures["DeleteMessageBatch", None] = [THROTTLED]
    for number in range(10):
        settler.ack(delivery(number))
    assert settler.flush(PATIENCE)
    assert sorted(client.handles("DeleteMessageBatch")) == sorted([f"h{number}" for number in range(10)] * 2)


def test_an_ack_that_comes_too_late_is_noted_quietly(
    client: Script, make_settler: Callable[..., Settler], caplog: pytest.LogCaptureFixture
) -> None:
    """The receipt is no longer good; nothing can be done, and nothing is tried again."""
    caplog.set_level(logging.INFO, "kombu_sns_sqs")
    settler = make_settler()
    client.failures["DeleteMessageBatch", "h1"] = [STALE]
    settler.hold(delivery(1))
    settler.ack(delivery(1))
    assert settler.flush(5)
    assert client.calls("DeleteMessageBatch") == 1
    until(lambda: bool(caplog.records))
    assert [record.levelname for record in caplog.records] == ["INFO"]


def test_giving_back_says_when_the_message_is_seen_again(client: Script, make_settler: Callable[..., Settler]) -> None:
    """At once, or after a delay."""
    settler = make_settler()
    for number, delay in ((1, 0), (2, 30)):
        settler.hold(delivery(number))
        settler.release(delivery(number), delay=delay)
    assert settler.flush(5)
    entries = client.entries("ChangeMessageVisibilityBatch")
    assert [(entry["ReceiptHandle"], entry["VisibilityTimeout"]) for entry in entries] == [("h1", 0), ("h2", 30)]
    assert settler.held == 0


def test_leases_are_renewed_ten_to_a_request_and_once_in_half_a_lease(
    client: Script, make_settler: Callable[..., Settler]
) -> None:
    """Thirty messages that came one after the other, under leases of two seconds: three requests a second at most."""
    settler = make_settler(lease_seconds=2)
    for number in range(30):
        settler.hold(delivery(number))
        time.sleep(0.002)
    until(lambda: client.calls("ChangeMessageVisibilityBatch") >= 3)
    first = time.monotonic()
    until(lambda: client.calls("ChangeMessageVisibilityBatch") >= 6)
    assert time.monotonic() - first > 0.8
    entries = client.entries("ChangeMessageVisibilityBatch")[:60]
    assert {entry["VisibilityTimeout"] for entry in entries} == {2}
    assert sorted(entry["ReceiptHandle"] for entry in entries) == sorted([f"h{number}" for number in range(30)] * 2)


def test_the_newer_receipt_of_a_held_message_is_the_one_that_counts(
    client: Script, make_settler: Callable[..., Settler]
) -> None:
    """The same message received again: not delivered, and settled by what was received last."""
    settler = make_settler()
    assert settler.hold(delivery(1)) is Verdict.NEW
    assert settler.hold(delivery(1, handle="newer")) is Verdict.HELD
    settler.ack(delivery(1))
    assert settler.flush(5)
    assert client.handles("DeleteMessageBatch") == ["newer"]


def test_another_message_of_the_same_publish_is_deleted_unseen(
    client: Script, make_settler: Callable[..., Settler]
) -> None:
    """A send repeated after its answer was lost makes two messages; while one is held, and after it was handled."""
    settler = make_settler()
    settler.hold(delivery(1, publish_id="p"))
    assert settler.hold(delivery(2, publish_id="p")) is Verdict.COPY
    settler.ack(delivery(1, publish_id="p"))
    assert settler.hold(delivery(3, publish_id="p")) is Verdict.COPY
    assert settler.flush(5)
    assert sorted(client.handles("DeleteMessageBatch")) == ["h1", "h2", "h3"]


def test_a_renewal_refused_for_an_old_receipt_is_tried_with_the_newer(
    client: Script, make_settler: Callable[..., Settler], caplog: pytest.LogCaptureFixture
) -> None:
    """The lease is not lost: it goes by another handle."""
    settler = make_settler(lease_seconds=2)
    client.kept_back.add("ChangeMessageVisibilityBatch")
    client.failures["ChangeMessageVisibilityBatch", "h1"] = [STALE]
    settler.hold(delivery(1))
    until(lambda: client.calls("ChangeMessageVisibilityBatch") == 1)
    settler.hold(delivery(1, handle="newer"))
    client.answer_kept_back()
    until(lambda: "newer" in client.handles("ChangeMessageVisibilityBatch"))
    assert "lost the lease" not in caplog.text


def test_a_renewal_overtaken_by_its_ack_is_no_lost_lease(
    client: Script, make_settler: Callable[..., Settler], caplog: pytest.LogCaptureFixture
) -> None:
    """AWS refuses to renew what has just been deleted: nothing will run a second time, and nobody is told so."""
    settler = make_settler(lease_seconds=2)
    client.kept_back.add("ChangeMessageVisibilityBatch")
    client.failures["ChangeMessageVisibilityBatch", "h1"] = [STALE]
    settler.hold(delivery(1))
    until(lambda: client.calls("ChangeMessageVisibilityBatch") == 1)
    settler.ack(delivery(1))
    until(lambda: client.calls("DeleteMessageBatch") == 1)
    client.answer_kept_back()
    assert settler.flush(5)
    assert "lost the lease" not in caplog.text


def test_a_lost_lease_does_not_keep_others_from_being_renewed(
    client: Script, make_settler: Callable[..., Settler]
) -> None:
    """The application still has a message whose lease was lost; the next one is renewed in time."""
    settler = make_settler(lease_seconds=2)
    client.failures["ChangeMessageVisibilityBatch", "h1"] = [STALE]
    settler.hold(delivery(1))
    until(lambda: client.calls("ChangeMessageVisibilityBatch") == 1)
    settler.flush(5)
    # The thread is at rest now, with nothing to renew.
    time.sleep(0.1)
    held_at = time.monotonic()
    settler.hold(delivery(2))
    until(lambda: "h2" in client.handles("ChangeMessageVisibilityBatch"))
    assert time.monotonic() - held_at < 2


def test_a_lease_taken_up_again_is_renewed(client: Script, make_settler: Callable[..., Settler]) -> None:
    """Lost, and then received once more by the process that still works on it."""
    settler = make_settler(lease_seconds=2)
    client.failures["ChangeMessageVisibilityBatch", "h1"] = [STALE]
    settler.hold(delivery(1))
    until(lambda: client.calls("ChangeMessageVisibilityBatch") == 1)
    settler.flush(5)
    time.sleep(0.1)
    held_at = time.monotonic()
    assert settler.hold(delivery(1, handle="newer")) is Verdict.HELD
    until(lambda: "newer" in client.handles("ChangeMessageVisibilityBatch"))
    assert time.monotonic() - held_at < 2


def test_a_throttled_renewal_is_tried_again_before_the_lease_ends(
    client: Script, make_settler: Callable[..., Settler], caplog: pytest.LogCaptureFixture
) -> None:
    """A request that was not carried out loses no lease."""
    settler = make_settler(lease_seconds=4)
    client.failures["ChangeMessageVisibilityBatch", None] = [THROTTLED]
    settler.hold(delivery(1))
    until(lambda: client.calls("ChangeMessageVisibilityBatch") >= 2)
    assert "lost the lease" not in caplog.text


def test_a_stop_carries_out_what_waits(client: Script, make_settler: Callable[..., Settler]) -> None:
    """However long it might have waited."""
    settler = make_settler(ack_delay=5)
    settler.hold(delivery(1))
    settler.hold(delivery(2))
    settler.ack(delivery(1))
    settler.release(delivery(2))
    settler.stop(5)
    assert client.handles("DeleteMessageBatch") == ["h1"]
    assert client.handles("ChangeMessageVisibilityBatch") == ["h2"]


def test_a_stop_that_gets_no_answer_ends_in_time_and_says_so(
    client: Script, make_settler: Callable[..., Settler], caplog: pytest.LogCaptureFixture
) -> None:
    """The messages come back when their leases end."""
    settler = make_settler(ack_delay=0)
    client.kept_back.add("DeleteMessageBatch")
    settler.hold(delivery(1))
    settler.ack(delivery(1))
    began = time.monotonic()
    settler.stop(0.2)
    assert time.monotonic() - began < 5
    assert "1 acks or give-backs were not carried out" in caplog.text


def test_a_flush_that_was_in_vain_leaves_nobody_in_a_hurry(
    client: Script, make_settler: Callable[..., Settler]
) -> None:
    """Later acks wait for others as ever."""
    settler = make_settler(ack_delay=5)
    client.kept_back.add("DeleteMessageBatch")
    for number in range(10):
        settler.hold(delivery(number))
    settler.ack(delivery(0))
    assert not settler.flush(0.05)
    for number in range(1, 10):
        settler.ack(delivery(number))
    client.wake()
    until(lambda: client.asleep)
    assert client.calls("DeleteMessageBatch") == 1


def test_a_flush_with_nothing_to_do_starts_no_thread(make_settler: Callable[..., Settler]) -> None:
    """A producer that never received has no settling thread."""
    settler = make_settler()
    before = threading.active_count()
    assert settler.flush(5)
    settler.stop(5)
    assert threading.active_count() == before


def test_acks_may_come_from_many_threads(client: Script, make_settler: Callable[..., Settler]) -> None:
    """Each message is deleted exactly once."""
    settler = make_settler(ack_delay=0.005)

    def work(first: int) -> None:
        for number in range(first, first + 50):
            settler.hold(delivery(number))
            settler.ack(delivery(number))

    threads = [threading.Thread(target=work, args=(first,)) for first in range(0, 400, 50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert settler.flush(PATIENCE)
    assert sorted(client.handles("DeleteMessageBatch")) == sorted(f"h{number}" for number in range(400))
    assert settler.held == 0


def test_after_the_stop_nothing_waits_for_an_answer(make_settler: Callable[..., Settler]) -> None:
    """A connection closed after the end of everything is told at once that its acks were not carried out."""
    settler = make_settler()
    settler.hold(delivery(1))
    settler.stop(5)
    settler.ack(delivery(1))
    began = time.monotonic()
    assert not settler.flush(3)
    assert time.monotonic() - began < 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_settles_nothing(client: Script, make_settler: Callable[..., Settler]) -> None:
    """What is held is the parent's."""
    settler = make_settler()
    settler.hold(delivery(1))
    child = os.fork()
    if child == 0:
        status = 1
        try:
            settler.ack(delivery(1))
            settler.release(delivery(1))
            status = 0 if settler.flush(1) and not client.asked else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    settler.ack(delivery(1))
    assert settler.flush(5)
    assert client.handles("DeleteMessageBatch") == ["h1"]
