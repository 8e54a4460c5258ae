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

from kombu_sns_sqs import quotas
from kombu_sns_sqs.aws.client import EventClient
from kombu_sns_sqs.aws.reply import Reply
from kombu_sns_sqs.aws.retrying import Backoff
from kombu_sns_sqs.batching import Batcher
from kombu_sns_sqs.errors import Error, Failure, Kind
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
        tell: hears of every message, its exchange, its routing key, its outcome, and why it was not sent; or None.
    """

    def __init__(
        self,
        *,
        channel: Channel,
        publisher: Publisher,
        client: EventClient,
        give_back: Callable[[EventClient], None],
        max_size: int,
        tell: Callable[..., None] | None = None,
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
        # A request may carry as much as a single message.
        self._filling: dict[int, Batcher[str, _Item]] = {
            limit: Batcher(max_age=float("inf"), max_bytes=limit)
            for limit in (quotas.MAX_MESSAGE_BYTES, quotas.MAX_TOPIC_MESSAGE_BYTES)
        }
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
            PublishBatchFailed: ``max_size`` was reached, and not all before it were sent.
        """
        if self._closed:
            raise RuntimeError("the publish batch is closed")
        exchange, routing_key = exchange or "", routing_key or ""
        outgoing = self._publisher.wrap(message, exchange, routing_key)
        parcel = self._publisher.address(outgoing, exchange, routing_key)
        self._taken += 1
        publication = Publication(message, exchange, routing_key)
        if parcel is None:
            self._note(publication, "dropped")
        elif self._fill(_Item(publication, parcel)):
            self._go_on()
        if self._taken >= self._max_size:
            self._turn_over()

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
        for batcher in self._filling.values():
            self._waiting.extend(items for _, items in batcher.drain())
        while self._waiting or self._retries or self._under_way > left:
            self._go_on(wait=True)

    def _fill(self, item: _Item) -> bool:
        """Put a message with those that go to the same place; True where that filled a request."""
        place = item.parcel.destination
        batcher = self._filling[place.max_bytes]
        if not batcher.add(place.address, item, now=0.0, size=item.parcel.size):
            return False
        self._waiting.extend(items for _, items in batcher.due(0.0))
        return True

    def _go_on(self, *, wait: bool = False) -> None:
        """Start what can be started, and look for answers; with ``wait``, or all requests under way, wait for one."""
        now = time.monotonic()
        while self._retries and self._retries[0][0] <= now:
            self._waiting.appendleft(heapq.heappop(self._retries)[2])
        held_up = []
        while self._waiting and self._under_way < _MAX_REQUESTS:
            items = self._waiting.popleft()
            if items[0].parcel.destination.address in self._busy:
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
        self._busy.discard(items[0].parcel.destination.address)
        again = [item for number, item in enumerate(items) if self._settled(item, reply.failure_of(str(number)))]
        if again:
            due = time.monotonic() + _BACKOFF.delay(again[0].attempts, random.random)
            heapq.heappush(self._retries, (due, next(self._order), again))

    def _settled(self, item: _Item, failure: Failure | None) -> bool:
        """Note a message's outcome; True where it has none yet and is to be sent again."""
        if failure is None:
            self._note(item.publication, "sent")
            return False
        item.doubtful = item.doubtful or failure.kind is Kind.UNREACHABLE
        if failure.kind.passing and item.attempts < _BACKOFF.attempts and not self._closed:
            return True
        if failure.kind is Kind.MISSING and self._readdress(item):
            return False
        published = item.publication
        outcome = Publication(published.message, published.exchange, published.routing_key, failure)
        self._note(outcome, "unknown" if item.doubtful else "refused")
        return False

    def _note(self, publication: Publication, outcome: Outcome) -> None:
        if outcome in {"sent", "dropped"}:
            self._sent.append(publication)
        else:
            (self._refused if outcome == "refused" else self._unknown).append(publication)
        if self._tell is not None:
            self._tell(publication.exchange, publication.routing_key, outcome, publication.failure)

    def _readdress(self, item: _Item) -> bool:
        """Look a queue up again that is not where it was, once; False where that does not help."""
        if item.readdressed or self._closed:
            return False
        item.readdressed = True
        published = item.publication
        try:
            self._publisher.mislaid(item.parcel)
            parcel = self._publisher.address(item.parcel.message, published.exchange, published.routing_key)
        except Error:
            return False
        if parcel is None:
            self._note(published, "dropped")
            return True
        item.parcel = parcel
        self._waiting.append([item])
        return True
