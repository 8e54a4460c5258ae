"""What becomes of polls that are open when their connection closes: they are seen to their end, in a thread.

SQS does not notice that a client has gone. A poll whose connection was cut still takes the next message, and nobody
else gets that for as long as a lease: https://github.com/aws/aws-sdk-java/issues/2083. Nor can a poll be called off.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from typing import Final

from kombu_sns_sqs.aws.client import EventClient
from kombu_sns_sqs.logs import fields
from kombu_sns_sqs.receiving.poller import Poller

logger = logging.getLogger(__name__)

#: Seconds by which an answer may be late before the end of the process no longer waits for it.
MARGIN: Final = 5.0


class LastPolls:
    """The last polls of one connection: what they bring is given back by their pollers, which have been stopped.

    Args:
        client: what carries the polls; nobody else drives it any more, and it is closed when all are answered.
        pollers: whose polls they are.
        margin: seconds by which an answer may be late.
    """

    def __init__(self, client: EventClient, pollers: Sequence[Poller], *, margin: float = MARGIN) -> None:
        self._client = client
        # Queues that are deleted anyway may keep what they have given out.
        self._pollers = [poller for poller in pollers if poller.queue.lasting and poller.in_flight]
        self._overdue = max([time.monotonic(), *(poller.open_until for poller in self._pollers)]) + margin
        self._answered = threading.Event()

    @property
    def open(self) -> bool:
        """Whether one of them may still bring a message that is wanted elsewhere."""
        return not self._answered.is_set()

    def start(self) -> None:
        """See them to their end in a thread."""
        if not self._client.in_flight:
            # A forked child's has forgotten the parent's.
            self._client.close()
            self._answered.set()
            return
        thread = threading.Thread(target=self._drive, name="kombu-sns-sqs-last-polls", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # Some Pythons begin no thread once the interpreter ends: what waits for the threads does it itself.
            self._drive(patiently=False)

    def wait(self) -> bool:
        """Wait for the answers; False where one is overdue, as it is when the service cannot be reached."""
        if self._answered.wait(max(0.0, self._overdue - time.monotonic())):
            return True
        queues = sorted({poller.queue.name for poller in self._pollers if poller.in_flight})
        logger.warning(
            "the last polls of queue %s were not answered: what they may have taken is away for a lease",
            ", ".join(map(repr, queues)),
            extra=fields("polls_unanswered", queues=queues),
        )
        return False

    def _drive(self, *, patiently: bool = True) -> None:
        """Turn the client until nothing is in flight; otherwise until there is nothing left to wait for."""
        try:
            while self._client.in_flight and (patiently or (self.open and time.monotonic() < self._overdue)):
                self._client.run_once(1.0)
                self._look()
        finally:
            self._client.close()
            self._look()

    def _look(self) -> None:
        # Between two turns and not while one runs: what an answer brought has been given back by now.
        if not any(poller.in_flight for poller in self._pollers):
            self._answered.set()
