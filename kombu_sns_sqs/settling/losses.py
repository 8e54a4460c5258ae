"""Leases that were lost: a message that is in hand here, and may run a second time elsewhere."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

from kombu_sns_sqs.logs import fields
from kombu_sns_sqs.messages import Delivery

logger = logging.getLogger(__name__)


class Loss(Enum):
    """Why a lease was lost."""

    #: SQS refused to renew it: it had ended, or somebody else has the message.
    REFUSED = "refused"
    #: It could not be renewed before it ended: no answer, or too many requests.
    UNREACHABLE = "unreachable"
    #: Nobody looked before it ended: the process was suspended or starved.
    LATE = "late"
    #: SQS renews none beyond twelve hours from the receive.
    TWELVE_HOURS = "twelve hours"


@dataclass(frozen=True, slots=True, kw_only=True)
class LostLease:
    """What the hook ``on_lease_lost`` is told.

    Args:
        queue: the AMQP name of the queue.
        message_id: SQS's id.
        publish_id: the id its sender gave it; empty where the sender was not this transport.
        reason: why.
        held_seconds: for how long the message had been held.
        detail: what SQS said, for a log.
    """

    queue: str
    message_id: str
    publish_id: str
    reason: Loss
    held_seconds: float
    detail: str = ""

    @classmethod
    def of(cls, delivery: Delivery, reason: Loss, *, held_seconds: float, detail: str = "") -> LostLease:
        """Say it of a delivery."""
        return cls(
            queue=delivery.queue,
            message_id=delivery.message_id,
            publish_id=delivery.content.publish_id,
            reason=reason,
            held_seconds=held_seconds,
            detail=detail,
        )


class Losses:
    """Logs lost leases, counts them, and tells the hook. Safe for threads.

    Args:
        hook: called with each :class:`LostLease`, in the thread that renews; what it raises is logged.
        tell: is called as well; must not raise.
    """

    def __init__(
        self,
        hook: Callable[[LostLease], object] | None = None,
        *,
        tell: Callable[[LostLease], None] | None = None,
    ) -> None:
        self._hook = hook
        self._tell = tell
        self._lock = threading.Lock()
        self._counts: Counter[Loss] = Counter()

    @property
    def counts(self) -> dict[str, int]:
        """How many leases were lost since the start of the process, by reason."""
        with self._lock:
            return {reason.value: self._counts[reason] for reason in Loss}

    def report(self, losses: Iterable[LostLease]) -> None:
        """Take note of lost leases."""
        for loss in losses:
            with self._lock:
                self._counts[loss.reason] += 1
            logger.warning(
                "lost the lease of message %s of queue %r after %.0f s, it may run a second time elsewhere: %s",
                loss.message_id,
                loss.queue,
                loss.held_seconds,
                loss.detail or loss.reason.value,
                extra=fields(
                    "lease_lost",
                    queue=loss.queue,
                    message_id=loss.message_id,
                    publish_id=loss.publish_id,
                    reason=loss.reason.value,
                    held_seconds=loss.held_seconds,
                ),
            )
            if self._tell is not None:
                self._tell(loss)
            if self._hook is None:
                continue
            try:
                self._hook(loss)
            except Exception:
                # The user's function; all leases depend on this thread.
                logger.exception("on_lease_lost failed", extra=fields("hook_failed", hook="on_lease_lost"))
