"""A settler for each length of lease: nearly always one, as few queues ask for a length of their own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from kombu_sns_sqs.messages import Delivery
from kombu_sns_sqs.settling.holdings import Verdict
from kombu_sns_sqs.settling.settler import Settler


class Settlers:
    """Holds, acks and gives back: see :class:`Settler`, whose verbs these are. Safe for threads.

    Args:
        make: makes the settler for a lease of so many seconds.
        lease_seconds: the lease of queues that ask for none.
    """

    def __init__(self, *, make: Callable[[int], Settler], lease_seconds: int) -> None:
        self._make = make
        self._usual = lease_seconds
        self._lock = threading.Lock()
        self._by_lease = {lease_seconds: make(lease_seconds)}

    def hold(self, delivery: Delivery, *, since: float | None = None) -> Verdict:
        """Take an arrived message under lease, and say whether it may be delivered."""
        return self._of(delivery).hold(delivery, since=since)

    def ack(self, delivery: Delivery) -> None:
        """Delete a handled message, soon and together with others."""
        self._of(delivery).ack(delivery)

    def discard(self, delivery: Delivery) -> None:
        """Delete a message that is not held: a copy."""
        self._of(delivery).discard(delivery)

    def moving(self, delivery: Delivery) -> None:
        """Note that a held message is being sent on: what it goes on as may come before that is known."""
        self._of(delivery).moving(delivery)

    def release(self, delivery: Delivery, *, delay: int = 0) -> None:
        """Give a message back: visible to all in ``delay`` seconds."""
        self._of(delivery).release(delivery, delay=delay)

    def forgotten(self, delivery: Delivery) -> None:
        """Give a message back that nobody has in hand any more, unless it was settled."""
        self._of(delivery).forgotten(delivery)

    def flush(self, timeout: float) -> bool:
        """Wait until everything asked so far is answered; False where ``timeout`` seconds did not do."""
        deadline = time.monotonic() + timeout
        return all(settler.flush(max(0.0, deadline - time.monotonic())) for settler in self._all())

    @property
    def held(self) -> int:
        """How many messages are under lease."""
        return sum(settler.held for settler in self._all())

    def late(self, now: float) -> float:
        """For how many seconds a thread of theirs should have turned and has not, by the clock of leases."""
        return max(0.0, *(now - settler.rhythm.sleeps_until for settler in self._all()))

    def stop(self, timeout: float) -> None:
        """Carry out what was asked, give back what is still held, within ``timeout`` seconds, and end."""
        deadline = time.monotonic() + timeout
        for settler in self._all():
            settler.stop(max(0.0, deadline - time.monotonic()))

    def _of(self, delivery: Delivery) -> Settler:
        seconds = delivery.lease_seconds or self._usual
        settler = self._by_lease.get(seconds)
        if settler is not None:
            return settler
        with self._lock:
            if seconds not in self._by_lease:
                self._by_lease = {**self._by_lease, seconds: self._make(seconds)}
            return self._by_lease[seconds]

    def _all(self) -> list[Settler]:
        return list(self._by_lease.values())
