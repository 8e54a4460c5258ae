"""What a reject does: the message comes back, at once or after its back-off, or becomes a dead letter."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable

from kombu_sns_sqs.logs import Seldom, fields
from kombu_sns_sqs.messages import Delivery
from kombu_sns_sqs.options import Options
from kombu_sns_sqs.settling.dead_letters import DeadLetters
from kombu_sns_sqs.settling.settlers import Settlers
from kombu_sns_sqs.wire.deaths import Reason

logger = logging.getLogger(__name__)


class Rejections:
    """Carries out ``basic.reject`` for all connections of one process. Safe for threads.

    Args:
        tell: hears of what comes back: its delivery, how it was settled, its delay; or None.
    """

    def __init__(
        self,
        *,
        settler: Settlers,
        dead_letters: DeadLetters,
        options: Options,
        tell: Callable[..., None] | None = None,
    ) -> None:
        self._settler = settler
        self._dead_letters = dead_letters
        self._options = options
        self._tell = tell
        self._seldom = Seldom()

    def reject(self, delivery: Delivery, *, requeue: bool) -> None:
        """Give a message back, or bury it."""
        retries = self._options.retries_of(delivery.queue)
        if requeue or retries.instead_of_rejecting(delivery):
            try:
                delay = retries.delay(delivery, random.random)
            except Exception:
                # The user's function; an ack or a reject is no place to learn of its faults.
                if self._seldom.count(delivery.queue):
                    logger.exception(
                        "backoff_policy failed for queue %r: the message comes back at once",
                        delivery.queue,
                        extra=fields("backoff_failed", queue=delivery.queue, message_id=delivery.message_id),
                    )
                delay = 0
            self._settler.release(delivery, delay=delay)
            if self._tell is not None:
                self._tell(delivery, "requeue", delay=delay)
        else:
            self._dead_letters.bury(delivery, Reason.REJECTED)
