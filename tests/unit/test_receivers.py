"""Whose polls are seen to their end by others."""

from __future__ import annotations

import gc
import threading
import time
import weakref

from kombu_sns_sqs.native_threads import end_of_caller
from kombu_sns_sqs.receiving.receivers import Receivers


class Receiver:
    """One that a thread has left, or has not."""

    def __init__(self, *, stranded: bool) -> None:
        self.stranded = lambda: stranded
        self.let_go_of = 0

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
