"""``Producer.batch()``: many messages, ten to a request, several requests at once.

A request leaves as soon as it is full; what is not full leaves with the flush. Every message has an outcome, and a
flush that returns means that AWS has them all.
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-batch-api-actions.html
"""

from __future__ import annotations

import heapq
import itertools
import random
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from kombu_sns_sqs.aws.client import EventClient
from kombu_sns_sqs.aws.reply import Reply
from kombu_sns_sqs.aws.retrying import Backoff
from kombu_sns_sqs.batching import Batcher
from kombu_sns_sqs.errors import ConnectionFailed, Error, Failure, Kind, exception_for
from kombu_sns_sqs.monitoring.hooks import Outcome
from kombu_sns_sqs.publishing.outcomes import Publication, PublishBatchFailed
from kombu_sns_sqs.publishing.parcel import Parcel, batch_operation
from kombu_sns_sqs.publishing.publisher import Publisher

if TYPE_CHECKING:
    from kombu_sns_sqs.channel import Channel

#: Requests under way at once. At 15 ms to the service that is some ten thousand messages a second.
_MAX_REQUESTS: Final = 16
#: Requests that may still be under way when a batch has been large enough and goes on.
_LEFT_UNDER_WAY: Final = 4
_BACKOFF: Final = Backoff()


@dataclass(slots=True, eq=False)
class _Item:
    """A message of the batch, until its outcome is known."""

    publication: Publication
    parcel: Parcel
    attempts: int = 0
    #: Whether an earlier attempt may have reached AWS.
    doubtful: bool = False
    readdressed: bool = False


class PublishBatch:
    """The publishing session kombu asks a channel for. Belongs to one thread.

    Args:
        channel: the channel it publishes for.
        publisher: wraps and addresses messages.
        client: carries the requests; nobody else uses it meanwhile.
        give_back: takes the client back.
        max_size: messages after which what was gathered is sent off, and what has failed is told, at least 1.
        tell: hears of every message when its outcome is known, and why it was not sent; or None.
    """

    def __init__(
        self,
        *,
        channel: Channel,
        publisher: Publisher,
        client: EventClient,
        give_back: Callable[[EventClient], None],
        max_size: int,
        tell: Callable[[Publication, Outcome, Error | None], None] | None = None,
    ) -> None:
        self.channel = channel
        self._publisher = publisher
        self._client = client
        self._give_back = give_back
        self._max_size = max_size
        self._tell = tell
        self._closed = False
        self._start_anew()

    def _start_anew(self) -> None:
        self._filling: Batcher[str, _Item] = Batcher(max_age=float("inf"))
        self._waiting: deque[list[_Item]] = deque()
        self._retries: list[tuple[float, int, list[_Item]]] = []
        self._order = itertools.count()
        self._under_way = 0
        self._busy: set[str] = set()
        self._taken = 0
        self._sent: list[Publication] = []
        self._refused: list[Publication] = []
        self._unknown: list[Publication] = []

    # -- what kombu calls ------------------------------------------------------------------------------------

    def publish(self, message: Mapping[str, Any], exchange: str = "", routing_key: str = "", **_options: Any) -> None:
        """Take a message; it leaves with the next full request, or the flush.

        Raises:
            MessageError: AWS would refuse it. Nothing has become of the others.
            PublishBatchFailed: ``max_size`` was reached, and not all before it were sent; or where it goes could not be
                looked up, and those before it were sent off.
        """
        if self._closed:
            raise RuntimeError("the publish batch is closed")
        publication = Publication(message, exchange or "", routing_key or "")
        try:
            self._take(publication)
        except ConnectionFailed as exc:
            # As an error of the connection's, kombu would try again on another, which the batch is not for.
            failure = exc.failure or Failure(kind=Kind.UNREACHABLE, code=type(exc).__name__, message=str(exc))
            self._note(publication._replace(failure=failure), "refused")
            self.flush()
        except Error as exc:
            self._told(publication, "refused", exc)
            raise
        self._taken += 1
        if self._taken >= self._max_size:
            self._turn_over()

    def _take(self, published: Publication) -> None:
        """Put a message with those that go to the same place."""
        outgoing = self._publisher.wrap(published.message, published.exchange, published.routing_key)
        try:
            parcel = self._publisher.address(outgoing, published.exchange, published.routing_key)
        except ConnectionFailed:
            parcel = self._publisher.address(outgoing, published.exchange, published.routing_key)
        if parcel is None:
            self._note(published, "dropped")
        elif self._publisher.leave(parcel, published.message, published.exchange):
            pass  # What is an event fails no task.
        elif self._fill(_Item(published, parcel)):
            self._go_on()

    def flush(self) -> None:
        """Send what is left and wait for every answer.

        Raises:
            PublishBatchFailed: not all messages of the batch were sent.
        """
        self._send_off(0)
        sent, refused, unknown = self._sent, self._refused, self._unknown
        self._start_anew()
        if refused or unknown:
            raise PublishBatchFailed(sent=sent, refused=refused, unknown=unknown)

    def discard(self) -> None:
        """Drop what has not left yet."""
        under_way = self._under_way
        self._start_anew()
        self._under_way = under_way

    def close(self) -> None:
        """Wait for what is under way, and end."""
        if self._closed:
            return
        self._closed = True
        while self._client.in_flight:
            self._client.run_once(None)
        self._give_back(self._client)

    # -- sending ---------------------------------------------------------------------------------------------

    def _turn_over(self) -> None:
        """Send off what was gathered, without the pause in which the last answers come; raise if any have failed."""
        self._send_off(_LEFT_UNDER_WAY)
        if self._refused or self._unknown:
            self.flush()
        self._taken = 0
        self._sent.clear()

    def _send_off(self, left: int) -> None:
        """Send all there is, and wait until no more than so many requests are unanswered."""
        self._waiting.extend(items for _, items in self._filling.drain())
        while self._waiting or self._retries or self._under_way > left:
            self._go_on(wait=True)

    def _fill(self, item: _Item) -> bool:
        """Put a message with those that go to the same place; True where that filled a request."""
        place = item.parcel.destination
        # A request may carry as much as a single message.
        if not self._filling.add(place.address, item, now=0.0, size=item.parcel.size, max_bytes=place.max_bytes):
            return False
        self._waiting.extend(items for _, items in self._filling.due(0.0))
        return True

    def _go_on(self, *, wait: bool = False) -> None:
        """Start what can be started, and look for answers; with ``wait``, or all requests under way, wait for one."""
        now = time.monotonic()
        while self._retries and self._retries[0][0] <= now:
            again = heapq.heappop(self._retries)[2]
            self._busy.discard(_address(again))
            self._waiting.appendleft(again)
        held_up = []
        while self._waiting and self._under_way < _MAX_REQUESTS:
            items = self._waiting.popleft()
            if _address(items) in self._busy:
                held_up.append(items)
            else:
                self._start(items)
        self._waiting.extendleft(reversed(held_up))
        timeout: float | None = 0.0
        if wait or self._under_way + len(self._retries) >= _MAX_REQUESTS:
            timeout = max(0.0, self._retries[0][0] - now) if self._retries else None
        self._client.run_once(timeout)

    def _start(self, items: list[_Item]) -> None:
        place = items[0].parcel.destination
        if place.fifo:
            # Two requests at once could overtake each other.
            self._busy.add(place.address)
        self._under_way += 1
        for item in items:
            item.attempts += 1
        operation = batch_operation([item.parcel for item in items])
        self._client.call(operation).then(lambda reply: self._answered(items, reply))

    def _answered(self, items: list[_Item], reply: Reply) -> None:
        self._under_way -= 1
        address = _address(items)
        again: list[_Item] = []
        moved: list[list[_Item]] = []
        for number, item in enumerate(items):
            failure = reply.failure_of(str(number))
            if failure is None:
                self._note(item.publication, "sent")
            elif self._passes(item, failure):
                again.append(item)
            elif failure.kind is Kind.MISSING and (found := self._readdressed(item)) is not None:
                moved += found
            else:
                self._note(item.publication._replace(failure=failure), "unknown" if item.doubtful else "refused")
        # What is sent again must not come after what was published later.
        self._waiting.extendleft(reversed(moved))
        if again:
            due = time.monotonic() + _BACKOFF.delay(again[0].attempts, random.random)
            heapq.heappush(self._retries, (due, next(self._order), again))
        else:
            self._busy.discard(address)

    def _passes(self, item: _Item, failure: Failure) -> bool:
        """Whether a message is to be sent again as it is."""
        item.doubtful = item.doubtful or failure.kind is Kind.UNREACHABLE
        return failure.kind.passing and item.attempts < _BACKOFF.attempts and not self._closed

    def _note(self, publication: Publication, outcome: Outcome) -> None:
        if outcome in {"sent", "dropped"}:
            self._sent.append(publication)
        else:
            (self._refused if outcome == "refused" else self._unknown).append(publication)
        failure = publication.failure
        self._told(publication, outcome, None if failure is None else exception_for(failure))

    def _told(self, publication: Publication, outcome: Outcome, error: Error | None) -> None:
        if self._tell is not None:
            self._tell(publication, outcome, error)

    def _readdressed(self, item: _Item) -> list[list[_Item]] | None:
        """Look a queue up again, once, that is not where it was, and give what to send; None where that is no help."""
        if item.readdressed or self._closed:
            return None
        item.readdressed = True
        published = item.publication
        try:
            self._publisher.mislaid(item.parcel)
            parcel = self._publisher.address(item.parcel.message, published.exchange, published.routing_key)
        except Error:
            return None
        if parcel is None:
            self._note(published, "dropped")
            return []
        item.parcel = parcel
        return [[item]]


def _address(items: list[_Item]) -> str:
    return items[0].parcel.destination.address
