"""How often, and for how much, one SQS queue is asked: more while its answers are full, less when not. Pure."""

from __future__ import annotations

from typing import Final

from kombu_sns_sqs import quotas

#: Without an event loop a connection may be closed at any moment, and a poll that is open then still takes messages.
#: So long polls begin short, in seconds, and grow while nothing comes.
FIRST_WAIT: Final = 1
#: Polls of one SQS queue in flight at most.
MAX_POLLS: Final = 8
#: Seconds for which a poll is open that is to fetch a backlog, not to wait for a message.
_BRIEFLY: Final = 1


class Pace:
    """What is known of one SQS queue from its last answers."""

    __slots__ = (
        "again",
        "answered_at",
        "ask",
        "failures",
        "in_flight",
        "not_before",
        "open_until",
        "probed",
        "probing",
        "retry_at",
        "wait",
        "waiting_since",
        "want",
    )

    def __init__(self) -> None:
        #: Polls that are not answered yet, and how many there should be.
        self.in_flight = 0
        self.want = 1
        #: By when the last of them has to be answered.
        self.open_until = 0.0
        #: For how long a long poll is open where nobody says.
        self.wait = FIRST_WAIT
        #: For how many messages the next poll asks; 0: nothing speaks for more than a share of the window.
        self.ask = 0
        #: Since when the queue has wanted a poll and found no slot, and when to look for one again.
        self.waiting_since: float | None = None
        self.again: float | None = None
        #: Of a priority level: whether it is being asked without waiting, and whether it has been.
        self.probing = False
        self.probed = False
        self.failures = 0
        #: When a poll was last answered, on the monotonic clock; None: never.
        self.answered_at: float | None = None
        self.not_before = 0.0
        #: When to look whether a poll that has failed may be repeated.
        self.retry_at: float | None = None

    def answered(self, *, asked: int, got: int, at: float) -> None:
        """Note what a poll has brought, and when."""
        self.failures = 0
        self.answered_at = at
        self.retry_at = None
        self.probed = not got
        if got == quotas.MAX_RECEIVE_MESSAGES:
            self.want = min(self.want * 2, MAX_POLLS)
        elif got < asked:
            self.want = max(1, self.want // 2) if got else 1
        # Asked for little where slots were few, a queue may still have all that was known of it.
        self.ask = max(self.ask, min(asked * 2, quotas.MAX_RECEIVE_MESSAGES)) if got == asked else got

    def failed(self, *, until: float) -> None:
        """Note that a poll has failed, and that the next may not begin before a point of the clock."""
        self.failures += 1
        self.want = 1
        self.not_before = self.retry_at = until

    def wait_for_slots(self, now: float, again: float | None) -> None:
        """Note that no slot was free; ``again``: when to look though nothing has happened, None where an ack tells."""
        if again is None:
            self.waiting_since = None
        elif self.waiting_since is None:
            self.waiting_since = now
        self.again, self.retry_at = again, None

    def polls(self) -> None:
        """Note that a poll begins."""
        self.in_flight += 1
        self.waiting_since = self.again = self.retry_at = None

    def open_for(self, longest: int, *, alone: bool) -> int:
        """Say how long a poll may stay open, in seconds: the slots it reserves are nobody else's meanwhile.

        ``alone``: whether there is nobody else.
        """
        if self.in_flight > 1:
            return min(longest, _BRIEFLY) if alone else 0
        return min(longest, _BRIEFLY) if self.ask and not alone else longest

    def next_try(self) -> float | None:
        """When there may be something to do though nothing has happened; None: never."""
        retry_at = None if self.in_flight else self.retry_at
        if self.again is None or retry_at is None:
            return retry_at if self.again is None else self.again
        return min(self.again, retry_at)
