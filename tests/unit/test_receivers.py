"""Whose polls are seen to their end by others."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from typing import Any

from kombu_sns_sqs.native_threads import end_of_caller
from kombu_sns_sqs.receiving.receivers import Receivers


class Receiver:
    """One that a thread has left, or has not."""

    def __init__(self, *, stranded: bool) -> None:
        self.stranded = lambda: stranded
        self.let_go_of = 0
        self.driver: threading.Thread | None = None
        self.handing_over = False
        self.client: Any = None

    def carrier(self) -> Any:
        """Give its client."""
        return self.client

    def let_go(self) -> None:
        """Count it."""
        self.let_go_of += 1

    def leave(self) -> None:
        """End."""


def test_what_a_thread_has_left_with_polls_in_flight_is_let_go_of_once() -> None:
    """Not what has no polls in flight, and not what a living thread comes back to."""
    receivers = Receivers()
    polling, idle, alive = Receiver(stranded=True), Receiver(stranded=True), Receiver(stranded=False)
    receivers.left(polling, polling_until=time.monotonic() + 20)
    receivers.left(idle, polling_until=time.monotonic() + 20)
    receivers.left(idle, polling_until=None)
    receivers.left(alive, polling_until=time.monotonic() + 20)
    for _ in range(2):
        receivers.see_off_stranded()
    assert (polling.let_go_of, idle.let_go_of, alive.let_go_of) == (1, 0, 0)


def test_a_receiver_is_kept_until_its_polls_have_ended_and_no_longer() -> None:
    """A connection that nobody closes must not leave a poll behind, nor be kept for good."""
    receivers = Receivers()
    polling, overdue = Receiver(stranded=False), Receiver(stranded=False)
    kept, gone = weakref.ref(polling), weakref.ref(overdue)
    receivers.left(polling, polling_until=time.monotonic() + 20)
    receivers.left(overdue, polling_until=time.monotonic() - 20)
    del polling, overdue
    receivers.see_off_stranded()
    gc.collect()
    assert kept() is not None
    assert gone() is None


def test_a_thread_is_known_to_have_ended_by_who_took_note_of_it() -> None:
    """Not as long as it runs."""
    ended = []
    thread = threading.Thread(target=lambda: ended.append(end_of_caller()))
    thread.start()
    thread.join()
    assert ended[0]()
    assert not end_of_caller()()


def on_loop(receivers: Receivers, *, client: Any = None, driver: threading.Thread | None = None) -> Receiver:
    """Make one that an event loop drives, in this thread unless another is named."""
    receiver = Receiver(stranded=False)
    receiver.client, receiver.driver = client, driver or threading.current_thread()
    receivers.on_loop(receiver)
    return receiver


def test_acks_are_carried_by_a_loop_of_the_calling_thread() -> None:
    """Not by that of another, nor by one that has stood still, nor by one that is gone."""
    receivers = Receivers()
    assert receivers.carrier() is None
    kept = [on_loop(receivers, client="another's", driver=threading.Thread()), on_loop(receivers, client=None)]
    assert receivers.carrier() is None
    kept.append(on_loop(receivers, client="ours"))
    receivers.on_loop(kept[-1])
    assert receivers.carrier() == "ours"
    kept.pop()
    gc.collect()
    assert receivers.carrier() is None


def test_nothing_is_carried_while_the_thread_is_in_the_application() -> None:
    """By none of its loop's connections: the callback of one of them may take an hour."""
    receivers = Receivers()
    one, other = on_loop(receivers, client="one's"), on_loop(receivers, client="other's")
    other.handing_over = True
    assert receivers.carrier() is None
    other.handing_over = False
    assert receivers.carrier() in {one.client, other.client}


def test_a_loop_may_be_asked_for_while_others_come() -> None:
    """Whoever acks must not hear of it."""
    receivers, kept = Receivers(), []

    class Slow(Receiver):
        def carrier(self) -> Any:
            kept.append(on_loop(receivers))
            return super().carrier()

    slow = Slow(stranded=False)
    slow.driver = threading.current_thread()
    receivers.on_loop(slow)
    for _ in range(3):
        assert receivers.carrier() is None
    assert len(kept) == 3
