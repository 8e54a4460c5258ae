"""An SQS on a clock of the test's own: what hops for 30 days does so in seconds. It answers the bytes that are sent."""

from __future__ import annotations

import heapq
import itertools
import json
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vine import promise

from kombu_sns_sqs.aws.reply import Reply
from kombu_sns_sqs.errors import Failure, Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from kombu_sns_sqs.aws.operation import Operation
    from kombu_sns_sqs.messages import Delivery

#: When the clock begins: a day in 2027.
BEGINNING = 1_800_000_000.0


@dataclass
class Clock:
    """A clock that goes when it is told to."""

    now: float = BEGINNING

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


@dataclass
class Stored:
    """A message on the service."""

    entry: dict[str, Any]
    message_id: str
    sent_at: float
    visible_at: float
    receives: int = 0


@dataclass
class VirtualQueue:
    """A queue on the service; ``retention`` in seconds."""

    retention: float = 345_600
    messages: dict[str, Stored] = field(default_factory=dict)
    #: Deduplication ids seen, and until when they count.
    seen: dict[str, float] = field(default_factory=dict)


class VirtualSQS:
    """Queues by URL, with delays, visibility, retention and deduplication as AWS documents them."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.queues: dict[str, VirtualQueue] = {}
        self.calls: Counter[str] = Counter()
        self.refusals: deque[Failure] = deque()
        self._ids = itertools.count(1)

    def make(self, url: str, retention: float = 345_600) -> None:
        """Make a queue."""
        self.queues.setdefault(url, VirtualQueue(retention))

    def send(self, url: str, entry: dict[str, Any]) -> str:
        """Take a message in."""
        queue, now = self.queues[url], self.clock.now
        delay = entry.get("DelaySeconds", 0)
        assert 0 <= delay <= 900
        assert not (url.endswith(".fifo") and "DelaySeconds" in entry)
        number = f"m{next(self._ids)}"
        if url.endswith(".fifo"):
            assert entry["MessageGroupId"]
            if queue.seen.get(entry["MessageDeduplicationId"], 0.0) > now:
                return number  # accepted, and thrown away
            queue.seen[entry["MessageDeduplicationId"]] = now + 300
        queue.messages[number] = Stored(entry, number, now, now + delay)
        return number

    def receive(self, url: str, limit: int, visibility: float) -> list[dict[str, Any]]:
        """Give visible messages out."""
        queue, now = self.queues[url], self.clock.now
        for number in [n for n, stored in queue.messages.items() if now >= stored.sent_at + queue.retention]:
            del queue.messages[number]
        given = []
        for stored in sorted(queue.messages.values(), key=lambda stored: stored.visible_at):
            if stored.visible_at > now or len(given) == limit:
                break
            stored.visible_at, stored.receives = now + visibility, stored.receives + 1
            system = {"ApproximateReceiveCount": str(stored.receives), "SentTimestamp": str(int(stored.sent_at * 1000))}
            if "MessageGroupId" in stored.entry:
                system["MessageGroupId"] = stored.entry["MessageGroupId"]
            if "MessageDeduplicationId" in stored.entry:
                system["MessageDeduplicationId"] = stored.entry["MessageDeduplicationId"]
            given.append(
                {
                    "MessageId": stored.message_id,
                    "ReceiptHandle": stored.message_id,
                    "Body": stored.entry["MessageBody"],
                    "Attributes": system,
                    "MessageAttributes": stored.entry.get("MessageAttributes", {}),
                }
            )
        return given

    def next_visible(self, urls: Any) -> float:
        """When the next message of some queues can be received."""
        moments = [stored.visible_at for url in urls for stored in self.queues[url].messages.values()]
        return min((moment for moment in moments if moment > self.clock.now), default=float("inf"))

    # -- what stands for the settler -------------------------------------------------------------------------

    def discard(self, delivery: Delivery) -> None:
        """Delete a message."""
        self.calls["DeleteMessage"] += 1
        self.queues[delivery.queue_url].messages.pop(delivery.receipt_handle, None)

    def moving(self, delivery: Delivery) -> None:
        """Nothing here tells twins apart."""

    def release(self, delivery: Delivery, *, delay: int = 0) -> None:
        """Give a message back."""
        stored = self.queues[delivery.queue_url].messages.get(delivery.receipt_handle)
        if stored is not None:
            stored.visible_at = self.clock.now + delay


class VirtualClient:
    """A client of it; a promise is fulfilled when :meth:`deliver` is called and there is an answer."""

    def __init__(self, sqs: VirtualSQS) -> None:
        self._sqs = sqs
        self._polls: list[tuple[float, int, promise, dict[str, Any]]] = []
        self._done: deque[tuple[promise, Operation]] = deque()
        self._order = itertools.count()

    def call(self, operation: Operation) -> promise:
        """Carry an operation out."""
        self._sqs.calls[operation.action] += 1
        fulfilled = promise()
        if operation.action == "ReceiveMessage":
            asked = json.loads(operation.body)
            until = self._sqs.clock.now + asked["WaitTimeSeconds"]
            heapq.heappush(self._polls, (until, next(self._order), fulfilled, asked))
        else:
            self._done.append((fulfilled, operation))
        return fulfilled

    @property
    def next_answer(self) -> float:
        """When the next poll ends, if nothing comes before."""
        return self._polls[0][0] if self._polls else float("inf")

    @property
    def polled(self) -> set[str]:
        """The URLs polls wait on."""
        return {asked["QueueUrl"] for _, _, _, asked in self._polls}

    def deliver(self) -> bool:
        """Fulfil what can be; False where nothing could."""
        answers: list[tuple[promise, Reply]] = []
        while self._done:
            fulfilled, operation = self._done.popleft()
            answers.append((fulfilled, self._answer(operation)))
        waiting, self._polls = self._polls, []
        for until, order, fulfilled, asked in waiting:
            found = self._sqs.receive(asked["QueueUrl"], asked["MaxNumberOfMessages"], asked["VisibilityTimeout"])
            if found or until <= self._sqs.clock.now:
                answers.append((fulfilled, Reply(value=found, date=float(int(self._sqs.clock.now)))))
            else:
                heapq.heappush(self._polls, (until, order, fulfilled, asked))
        for fulfilled, reply in answers:
            fulfilled(reply)
        return bool(answers)

    def _answer(self, operation: Operation) -> Reply:
        if self._sqs.refusals:
            return Reply(failure=self._sqs.refusals.popleft())
        asked = json.loads(operation.body)
        if asked["QueueUrl"] not in self._sqs.queues:
            return Reply(failure=Failure(kind=Kind.MISSING, code="QueueDoesNotExist"))
        if operation.action == "SendMessage":
            answer: dict[str, Any] = {"MessageId": self._sqs.send(asked["QueueUrl"], asked)}
        else:
            assert operation.action == "SendMessageBatch"
            rows = asked["Entries"]
            assert len(rows) <= 10
            answer = {
                "Successful": [{"Id": row["Id"], "MessageId": self._sqs.send(asked["QueueUrl"], row)} for row in rows]
            }
        return Reply(value=operation.parse(json.dumps(answer).encode()), date=float(int(self._sqs.clock.now)))


class VirtualControl:
    """The control plane of it."""

    def __init__(self, sqs: VirtualSQS) -> None:
        self._sqs = sqs
        self.denied: set[str] = set()

    def call(self, _identity: Any, _service: str, method: str, **arguments: Any) -> Reply:
        """Look a queue up, or make one."""
        self._sqs.calls[method] += 1
        if method in self.denied:
            return Reply(failure=Failure(kind=Kind.DENIED, code="AccessDenied"))
        url = f"sqs/{arguments['QueueName']}"
        if method == "create_queue":
            self._sqs.make(url, float(arguments["Attributes"]["MessageRetentionPeriod"]))
        elif url not in self._sqs.queues:
            return Reply(failure=Failure(kind=Kind.MISSING, code="QueueDoesNotExist"))
        return Reply(value={"QueueUrl": url})


class VirtualHousekeeper:
    """Runs jobs by the clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._jobs: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def call_later(self, delay: float, job: Callable[[], None]) -> None:
        """Run a job later."""
        heapq.heappush(self._jobs, (self._clock.now + delay, next(self._order), job))

    @property
    def next_job(self) -> float:
        """When the next one is due."""
        return self._jobs[0][0] if self._jobs else float("inf")

    def run(self) -> None:
        """Run what is due."""
        while self._jobs and self._jobs[0][0] <= self._clock.now:
            heapq.heappop(self._jobs)[2]()
