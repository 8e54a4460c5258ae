"""What a poller has to say to the log: that it cannot receive, and that it can again."""

from __future__ import annotations

import logging
from typing import Final

from kombu_sns_sqs.errors import Failure, Kind
from kombu_sns_sqs.logs import Seldom, fields

logger = logging.getLogger(__name__)

#: What does not pass by itself: somebody has to do something.
_SERIOUS: Final = frozenset({Kind.DENIED, Kind.CREDENTIALS, Kind.MISSING, Kind.REFUSED})


class PollReports:
    """Lines about the polls of one queue: where they fail and work by turns, two a minute.

    Args:
        queue: its name.
    """

    def __init__(self, queue: str) -> None:
        self._queue = queue
        self._seldom = Seldom()
        self._said = False

    def failed(self, failure: Failure) -> None:
        """Say that polls fail, at the first one that does."""
        if not self._seldom.count(failure.kind):
            return
        self._said = True
        level = logging.ERROR if failure.kind in _SERIOUS else logging.WARNING
        words = "cannot receive from queue %r, trying again until it works: %s"
        told = fields("receive_failed", queue=self._queue, cause=failure)
        logger.log(level, words, self._queue, failure, extra=told)

    def worked(self) -> None:
        """Say that they work again, at the first one that does, if the log knows that they did not."""
        if self._said:
            self._said = False
            logger.info(
                "receiving from queue %r again", self._queue, extra=fields("receive_resumed", queue=self._queue)
            )
