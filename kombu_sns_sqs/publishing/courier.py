"""Messages that nobody waits for, sent by a thread of their own: Celery's events and heartbeats.

Celery publishes them in the thread of its event loop, which a round trip to AWS would hold up, and in numbers that
would be dear one by one. So they gather for a moment and go out ten to a request, one request after the other: those
of a process keep their order. https://docs.aws.amazon.com/sns/latest/dg/sns-batch-api-actions.html
"""

from __future__ import annotations

import logging
import math
import os
import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from kombu_sns_sqs.aws.client import Client
from kombu_sns_sqs.aws.reply import Reply
from kombu_sns_sqs.aws.retrying import Backoff
from kombu_sns_sqs.errors import Error, Failure, Kind, exception_for
from kombu_sns_sqs.lifecycle import ends_with_exit_handlers
from kombu_sns_sqs.logs import fields
from kombu_sns_sqs.monitoring.hooks import Outcome
from kombu_sns_sqs.publishing.backlog import MAX_PARCELS, Backlog
from kombu_sns_sqs.publishing.parcel import Parcel, batch_operation

logger = logging.getLogger(__name__)

#: How long the next attempt waits after one that failed in passing.
_BACKOFF: Final = Backoff(base=0.2, cap=10.0)
#: Attempts in a row that have to fail before the log tells of it.
_WORTH_TELLING: Final = 3
#: Longest time in seconds that a publisher waits for room.
_FOR_ROOM: Final = 1.0


class Courier:
    """Sends in the background for all connections of one process. Safe for threads; raises nothing.

    What fails in passing is kept and tried again, as long as there is room for it: then the oldest are dropped, for
    events describe what is, and late ones are of little use. What AWS refuses is dropped.

    Args:
        client: a blocking client that repeats nothing.
        delay: longest time in seconds that a message waits for others.
        forget_topic: told of an exchange whose topic is gone.
        tell: hears of every message when its outcome is known, and why it was not sent; or None.
    """

    def __init__(
        self,
        *,
        client: Client,
        delay: float,
        forget_topic: Callable[[str], None],
        tell: Callable[[Parcel, Outcome, Error | None], None] | None = None,
    ) -> None:
        self._client = client
        self._forget_topic = forget_topic
        self._tell = tell
        self._changed = threading.Condition()
        self._backlog = Backlog(delay)
        self._under_way = 0
        self._hurry = False
        #: Attempts since one succeeded, and when there is to be another.
        self._failures = 0
        self._not_before = -math.inf
        #: Messages that were dropped, and those of them since a request succeeded.
        self.dropped = 0
        self._dropped_lately = 0
        self._refused: set[str] = set()
        self._pid = os.getpid()
        # The end of a pool's child is told to nobody, and what waits would be lost with it.
        self._closed = not ends_with_exit_handlers()
        self._thread: threading.Thread | None = None

    # -- any thread ------------------------------------------------------------------------------------------

    def take(self, parcel: Parcel) -> bool:
        """Take a message to be sent soon; False where that is left to the caller, since this process has no later."""
        if self._pid != os.getpid():
            return False
        with self._changed:
            if self._closed or not self._started():
                return False
            dropped = self._wait_for_room() if self._backlog.full else []
            # It may have been stopped in that time.
            taken = not self._closed
            if taken and self._backlog.add(parcel, now=time.monotonic()):
                self._changed.notify_all()
        self._told(dropped, "dropped")
        return taken

    def flush(self, timeout: float) -> bool:
        """Wait until all that was taken is sent; False where ``timeout`` seconds did not do."""
        if self._pid != os.getpid():
            return True
        with self._changed:
            if self._empty() or self._closed:
                return self._empty()
            self._hurry = True
            self._not_before = -math.inf
            self._changed.notify_all()
            return self._changed.wait_for(self._empty, timeout)

    def stop(self, timeout: float) -> None:
        """Send what was taken, within ``timeout`` seconds, and end: later messages are left to their publishers."""
        sent = self.flush(timeout)
        with self._changed:
            self._closed = True
            dropped = self._backlog.drain()
            if not sent:
                left = len(dropped) + self._under_way
                logger.warning("%d events were not sent before the stop", left, extra=fields("events_left", count=left))
            self._changed.notify_all()
        self._told(dropped, "dropped")
        if self._thread is not None and sent:
            self._thread.join(timeout)
        self._client.close()

    def _empty(self) -> bool:
        return not self._backlog and not self._under_way

    def _started(self) -> bool:
        """See to the thread; False where there can be none, as the process has too many, or ends."""
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="kombu-sns-sqs-courier", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                return False
            self._thread = thread
        return True

    def _wait_for_room(self) -> list[Parcel]:
        """Hold up who publishes faster than AWS answers; where it does not answer, drop the oldest, and return them."""
        if not self._failures:
            self._changed.wait_for(lambda: self._failures or self._closed or not self._backlog.full, _FOR_ROOM)
        dropped = [] if self._closed else self._backlog.make_room()
        if not dropped:
            return dropped
        # No answer for so long is as good as a failure: whoever publishes next does not wait, too.
        self._failures = max(1, self._failures)
        if not self._dropped_lately:
            told = fields("events_dropped", count=len(dropped))
            logger.warning("%d events and more wait to be sent: the oldest are dropped", MAX_PARCELS, extra=told)
        self._dropped_lately += len(dropped)
        self.dropped += len(dropped)
        return dropped

    def _told(self, parcels: Sequence[Parcel], outcome: Outcome, error: Error | None = None) -> None:
        # Not under the lock, which whoever publishes waits for.
        if self._tell is not None:
            for parcel in parcels:
                self._tell(parcel, outcome, error)

    # -- the thread ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while batch := self._next():
            try:
                self._send(batch)
            except Exception:
                told = fields("thread_failed", thread="courier")
                logger.exception("events could not be sent; the thread goes on", extra=told)
            with self._changed:
                self._under_way = 0
                self._changed.notify_all()

    def _next(self) -> list[Parcel]:
        """Wait for a batch that is due; an empty one is the end."""
        with self._changed:
            while True:
                if self._closed:
                    return []
                due = self._backlog.next_due()
                if due is None:
                    self._hurry = False
                    self._changed.wait()
                    continue
                left = max(-math.inf if self._hurry else due, self._not_before) - time.monotonic()
                if left <= 0:
                    batch = self._backlog.take_batch()
                    self._under_way = len(batch)
                    return batch
                self._changed.wait(left)

    def _send(self, batch: Sequence[Parcel]) -> None:
        replies: list[Reply] = []
        self._client.call(batch_operation(batch)).then(replies.append)
        outcomes = [(parcel, replies[0].failure_of(str(number))) for number, parcel in enumerate(batch)]
        again = [(parcel, failure) for parcel, failure in outcomes if failure is not None and failure.kind.passing]
        self._told([parcel for parcel, failure in outcomes if failure is None], "sent")
        for parcel, failure in outcomes:
            if failure is not None and not failure.kind.passing:
                self._drop(parcel, failure)
        if again:
            self._keep([parcel for parcel, _ in again], again[0][1])
        else:
            self._recovered()

    def _keep(self, parcels: Sequence[Parcel], failure: Failure) -> None:
        with self._changed:
            late = parcels if self._closed else []
            self._backlog.put_back([] if late else parcels)
            self._failures += 1
            self._not_before = time.monotonic() + _BACKOFF.delay(self._failures, random.random)
            level = logging.WARNING if self._failures == _WORTH_TELLING else logging.DEBUG
        told = fields("events_wait", cause=failure)
        logger.log(level, "events could not be sent, and wait until they can: %s", failure, extra=told)
        self._told(late, "unknown", exception_for(failure))

    def _recovered(self) -> None:
        with self._changed:
            failures, self._failures = self._failures, 0
            dropped, self._dropped_lately = self._dropped_lately, 0
        if failures >= _WORTH_TELLING or dropped:
            told = fields("events_resumed", count=dropped)
            words = "events are sent again, after %d attempts; %d were dropped meanwhile"
            logger.info(words, failures, dropped, extra=told)

    def _drop(self, parcel: Parcel, failure: Failure) -> None:
        exchange, error = parcel.destination.name, exception_for(failure)
        if failure.kind is Kind.MISSING:
            self._forget_topic(exchange)
        logger.log(
            logging.DEBUG if failure.code in self._refused else logging.ERROR,
            "an event was dropped that exchange %r did not take; others will be without a word: %s",
            exchange,
            error,
            extra=fields("event_refused", exchange=exchange, cause=failure),
        )
        self._told([parcel], "refused", error)
        self._refused.add(failure.code)
        with self._changed:
            self.dropped += 1
