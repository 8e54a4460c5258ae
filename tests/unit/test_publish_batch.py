"""A batch against a service that answers when it is told to: what is sent again, and in which order."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from vine import promise

from kombu_sns_sqs.aws.operation import BatchResult
from kombu_sns_sqs.aws.reply import Reply
from kombu_sns_sqs.errors import Failure, Kind, exception_for
from kombu_sns_sqs.identity import Identity
from kombu_sns_sqs.messages import Outgoing
from kombu_sns_sqs.publishing import batch as batches
from kombu_sns_sqs.publishing.batch import PublishBatch
from kombu_sns_sqs.publishing.outcomes import PublishBatchFailed
from kombu_sns_sqs.publishing.parcel import Destination, Parcel

if TYPE_CHECKING:
    from collections.abc import Callable

    from kombu_sns_sqs.aws.operation import Operation

THROTTLED = Failure(kind=Kind.THROTTLED, code="RequestThrottled", action="GetQueueUrl")
MISSING = Failure(kind=Kind.MISSING, code="QueueDoesNotExist")


class Service:
    """Takes what it is sent, but for the failures that are laid out for the next requests, whole or by entry."""

    def __init__(self) -> None:
        self.failures: list[Failure | dict[str, Failure]] = []
        self.requests: list[list[str]] = []
        self.taken: list[str] = []
        self._answers: list[tuple[promise, Reply]] = []

    @property
    def in_flight(self) -> int:
        """How many are not answered."""
        return len(self._answers)

    def call(self, operation: Operation) -> promise:
        """Take a request in."""
        bodies = [entry["MessageBody"] for entry in json.loads(operation.body)["Entries"]]
        self.requests.append(bodies)
        failure = self.failures.pop(0) if self.failures else {}
        if isinstance(failure, Failure):
            reply = Reply(failure=failure)
        else:
            sent = {str(number): body for number, body in enumerate(bodies) if str(number) not in failure}
            self.taken += sent.values()
            reply = Reply(value=BatchResult(succeeded=sent, failed=failure))
        self._answers.append((promise(), reply))
        return self._answers[-1][0]

    def run_once(self, timeout: float | None) -> None:
        """Answer the oldest request."""
        if self._answers:
            fulfilled, reply = self._answers.pop(0)
            fulfilled(reply)


class Publisher:
    """Knows where everything goes, but for the failures that are laid out for the next look-ups."""

    def __init__(self) -> None:
        self.failures: list[Failure] = []

    def wrap(self, message: Any, exchange: str, routing_key: str) -> Outgoing:
        """Take the body for the envelope."""
        return Outgoing(body=message["body"], attributes={}, publish_id=message["body"])

    def address(self, message: Outgoing, exchange: str, routing_key: str) -> Parcel:
        """Look the queue up."""
        if self.failures:
            raise exception_for(self.failures.pop(0))
        place = Destination(name=routing_key, address=f"http://q/{routing_key}", identity=Identity(), topic=False)
        return Parcel.pack(message, place)

    def leave(self, parcel: Parcel, message: Any, exchange: str) -> bool:
        """There are no events."""
        return False

    def mislaid(self, parcel: Parcel) -> None:
        """Forget nothing."""


@pytest.fixture
def service() -> Service:
    """A service."""
    return Service()


@pytest.fixture
def publisher() -> Publisher:
    """A publisher."""
    return Publisher()


@pytest.fixture
def told() -> Counter[str]:
    """How often which outcome was told."""
    return Counter()


@pytest.fixture
def send(
    service: Service, publisher: Publisher, told: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """Publish so many messages to a queue, and flush; it tries again at once."""
    monkeypatch.setattr(batches, "_BACKOFF", batches.Backoff(base=0.001, cap=0.001))

    def send(count: int, queue: str = "q.fifo") -> None:
        batch: Any = PublishBatch(
            channel=None,  # type: ignore[arg-type]
            publisher=publisher,  # type: ignore[arg-type]
            client=service,  # type: ignore[arg-type]
            give_back=lambda _: None,
            max_size=1000,
            tell=lambda _publication, outcome, _error: told.update([outcome]),
        )
        for number in range(count):
            batch.publish({"body": str(number)}, routing_key=queue)
        batch.flush()

    return send


def bodies(*numbers: int) -> list[str]:
    """What the bodies of those are."""
    return [str(number) for number in numbers]


def test_nothing_overtakes_a_request_to_a_fifo_queue_that_is_sent_again(
    service: Service, send: Callable[..., None]
) -> None:
    """However often; those to other queues would not wait."""
    service.failures = [THROTTLED, THROTTLED, {"3": THROTTLED, "4": THROTTLED}]
    send(25)
    first = bodies(*range(10))
    assert service.requests == [first, first, first, bodies(3, 4), bodies(*range(10, 20)), bodies(*range(20, 25))]
    assert service.taken == bodies(0, 1, 2, *range(5, 10), 3, 4, *range(10, 25))


def test_nor_one_whose_queue_has_moved(service: Service, send: Callable[..., None]) -> None:
    """Each message is looked up again, and they keep their places."""
    service.failures = [dict.fromkeys(bodies(0, 1, 2), MISSING)]
    send(12)
    assert service.taken == bodies(*range(3, 10), 0, 1, 2, 10, 11)


def test_a_standard_queue_waits_for_nothing_that_is_sent_again(
    service: Service, send: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no order to keep."""
    # A pause that chance has made shorter than it takes to fill a request would be over before it.
    monkeypatch.setattr("random.random", lambda: 0.9)
    service.failures = [THROTTLED]
    send(20, "q")
    assert service.requests == [bodies(*range(10)), bodies(*range(10, 20)), bodies(*range(10))]


def test_a_look_up_that_fails_in_passing_is_made_again(
    service: Service, publisher: Publisher, send: Callable[..., None]
) -> None:
    """An error of the connection's would have kombu try on a channel that the batch is not for."""
    publisher.failures = [THROTTLED]
    send(3)
    assert service.taken == bodies(0, 1, 2)


def test_a_place_that_cannot_be_looked_up_fails_the_batch_at_once(
    service: Service,
    publisher: Publisher,
    send: Callable[..., None],
    told: Counter[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the lists of what was sent and what was not; a thousand such look-ups would take hours."""
    address = publisher.address

    def fail_later(message: Outgoing, exchange: str, routing_key: str) -> Parcel:
        if message.body == "2":
            publisher.failures = [THROTTLED]
        return address(message, exchange, routing_key)

    monkeypatch.setattr(publisher, "address", fail_later)
    with pytest.raises(PublishBatchFailed, match=r"2 were sent, 1 were refused.*GetQueueUrl") as caught:
        send(1000)
    assert [one.failure for one in caught.value.refused] == [THROTTLED]
    assert service.taken == bodies(0, 1)
    assert told == {"sent": 2, "refused": 1}
