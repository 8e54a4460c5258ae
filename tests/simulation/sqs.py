"""SQS in virtual time: a standard queue, as the documentation has it where emulators are kinder.

Where two readings are possible it is the harsher one: each receive makes all older receipts of the message worthless,
and what is not in flight cannot be renewed.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from dataclasses import dataclass

from kombu_sns_sqs import quotas
from kombu_sns_sqs.errors import Failure, Kind

STALE = Failure(kind=Kind.STALE_RECEIPT, code="ReceiptHandleIsInvalid")
TOO_LONG = Failure(kind=Kind.REFUSED, code="InvalidParameterValue")


@dataclass(slots=True)
class Message:
    """A message in the queue."""

    number: int
    publish_id: str
    visible_at: float
    receives: int = 0
    received_at: float = 0.0
    sent_at: float = 0.0
    deleted: bool = False

    @property
    def message_id(self) -> str:
        """The id that stays."""
        return f"m{self.number}"

    @property
    def handle(self) -> str:
        """The receipt handle that counts: that of the last receive."""
        return f"{self.number}#{self.receives}"


class Queue:
    """One queue."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        #: How many messages are not deleted.
        self.left = 0
        self._visible: deque[Message] = deque()
        self._coming: list[tuple[float, int, Message]] = []
        self._order = itertools.count()

    def send(self, publish_id: str, now: float) -> Message:
        """Take a message."""
        message = Message(len(self.messages), publish_id, now)
        self.messages.append(message)
        self.left += 1
        self._hide(message, now)
        return message

    def receive(self, count: int, seconds: float, now: float) -> list[Message]:
        """Give out up to so many messages."""
        while self._coming and self._coming[0][0] <= now:
            at, _, message = heapq.heappop(self._coming)
            if message.visible_at == at:
                self._visible.append(message)
        given: list[Message] = []
        while self._visible and len(given) < count:
            message = self._visible.popleft()
            if not message.deleted and message.visible_at <= now:
                given.append(self.give(message, seconds, now))
        return given

    def give(self, message: Message, seconds: float, now: float) -> Message:
        """Give out a message, whatever state it is in: a deleted one is there again."""
        self.left += message.deleted
        message.deleted = False
        message.receives += 1
        message.received_at = now
        self._hide(message, now + seconds)
        return message

    def delete(self, handle: str) -> None:
        """Delete a message; with an old receipt that succeeds and does nothing."""
        message = self._by(handle)
        if message.handle == handle and not message.deleted:
            message.deleted = True
            self.left -= 1

    def change(self, handle: str, seconds: float, now: float) -> Failure | None:
        """Change when a message in flight is visible again."""
        message = self._by(handle)
        if message.deleted or message.handle != handle or message.visible_at <= now:
            return STALE
        if now + seconds > message.received_at + quotas.MAX_VISIBILITY_SECONDS:
            return TOO_LONG
        self._hide(message, now + seconds)
        return None

    def _by(self, handle: str) -> Message:
        return self.messages[int(handle.partition("#")[0])]

    def _hide(self, message: Message, until: float) -> None:
        message.visible_at = until
        heapq.heappush(self._coming, (until, next(self._order), message))
