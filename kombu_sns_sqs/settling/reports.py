"""What the thread that settles has to say to the log."""

from __future__ import annotations

import logging

from kombu_sns_sqs.errors import Failure, Kind
from kombu_sns_sqs.logs import Seldom, fields
from kombu_sns_sqs.settling.outbox import Entry, Verb

logger = logging.getLogger(__name__)


class Reports:
    """Lines about what could not be carried out: one a minute for each queue and what should have been done."""

    def __init__(self) -> None:
        self._seldom = Seldom()

    def not_settled(self, verb: Verb, entry: Entry, failure: Failure) -> None:
        """Say that a message could not be deleted or given back, unless it went with its queue."""
        if failure.kind is Kind.MISSING:
            return
        delivery = entry.delivery
        stale = failure.kind is Kind.STALE_RECEIPT
        count = self._seldom.count((verb, delivery.queue, stale))
        if not count:
            return
        message_id = delivery.message_id
        told = {"queue": delivery.queue, "message_id": message_id, "verb": verb.value, "count": count, "cause": failure}
        if stale:
            extra = fields("receipt_stale", **told)
            logger.info("message %s was no longer ours to %s: %s", message_id, verb.value, failure, extra=extra)
        else:
            extra = fields("settle_failed", **told)
            logger.warning("could not %s message %s: %s", verb.value, message_id, failure, extra=extra)

    def thread_failed(self, exc: Exception) -> None:
        """Say that a turn of the thread has raised."""
        if self._seldom.count("turn"):
            told = fields("thread_failed", thread="settler", cause=exc)
            logger.error("settling failed; the thread goes on", exc_info=exc, extra=told)

    def lending_failed(self, exc: Exception) -> None:
        """Say that the event loop could not send for the thread, which does it itself."""
        if self._seldom.count("lending"):
            told = fields("lending_failed", cause=exc)
            logger.error("acks could not be sent on the event loop; the thread sends them", exc_info=exc, extra=told)

    def left(self, count: int) -> None:
        """Say how much was not carried out in time."""
        told = fields("settlements_left", count=count)
        logger.warning("%d acks or give-backs were not carried out before the stop", count, extra=told)
