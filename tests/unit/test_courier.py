"""Sending in the background: what the thread does, against a service of the test's own."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest
from vine import promise

from kombu_sns_sqs.aws.operation import BatchResult
from kombu_sns_sqs.aws.reply import Reply
from kombu_sns_sqs.errors import Failure, Kind
from kombu_sns_sqs.identity import Identity
from kombu_sns_sqs.messages import Outgoing
from kombu_sns_sqs.publishing import courier as couriers
from kombu_sns_sqs.publishing.backlog import MAX_PARCELS
from kombu_sns_sqs.publishing.courier import Courier
from kombu_sns_sqs.publishing.parcel import Destination, Parcel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kombu_sns_sqs.aws.operation import Operation

PATIENCE = 20.0
THROTTLED = Failure(kind=Kind.THROTTLED, code="Throttling")
UNREACHABLE = Failure(kind=Kind.UNREACHABLE, code="Timeout")
DENIED = Failure(kind=Kind.DENIED, code="AuthorizationError", message="not authorized to perform: SNS:Publish")
MISSING = Failure(kind=Kind.MISSING, code="NotFound")


def event(body: str) -> Parcel:
    """An event on its way."""
    place = Destination(name="celeryev", address="arn:celeryev", identity=Identity(), topic=True)
    return Parcel.pack(Outgoing(body=body, attributes={}, publish_id=body), place)


class Service:
    """Answers as it is told to, one request after the other; ``open`` lets requests be answered at all."""

    def __init__(self) -> None:
        self.failures: list[Failure | dict[str, Failure] | None] = []
        self.always: Failure | None = None
        self.requests: list[list[str]] = []
        self.threads: set[int] = set()
        self.open = threading.Event()
        self.open.set()
        self._asked = threading.Condition()

    def call(self, operation: Operation) -> promise:
        """Carry it out in the calling thread."""
        form = parse_qs(operation.body.decode())
        bodies = [form[key][0] for key in sorted(form, key=_number) if key.endswith(".Message")]
        with self._asked:
            self.threads.add(threading.get_ident())
            self.requests.append(bodies)
            self._asked.notify_all()
        self.open.wait(PATIENCE)
        failure = self.failures.pop(0) if self.failures else self.always
        fulfilled = promise()
        fulfilled(self._reply(failure, len(bodies)))
        return fulfilled

    @staticmethod
    def _reply(failure: Failure | dict[str, Failure] | None, count: int) -> Reply:
        if isinstance(failure, Failure):
            return Reply(failure=failure)
        failed = failure or {}
        sent = {str(number): "id" for number in range(count) if str(number) not in failed}
        return Reply(value=BatchResult(succeeded=sent, failed=failed))

    def close(self) -> None:
        """Say nothing."""

    def wait_for_requests(self, number: int) -> None:
        """Wait until so many requests have begun."""
        with self._asked:
            assert self._asked.wait_for(lambda: len(self.requests) >= number, PATIENCE), self.requests


def _number(key: str) -> int:
    digits = [part for part in key.split(".") if part.isdigit()]
    return int(digits[0]) if digits else 0


@pytest.fixture
def service() -> Service:
    """A service that takes everything."""
    return Service()


@pytest.fixture
def start(service: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Courier]]:
    """Make a courier that is stopped at the end; it tries again at once."""
    monkeypatch.setattr(couriers, "_BACKOFF", couriers.Backoff(base=0.001, cap=0.001))
    made: list[Courier] = []

    def start(*, delay: float = 60.0, forget_topic: Callable[[str], object] = len, tell: Any = None) -> Courier:
        made.append(Courier(client=service, delay=delay, forget_topic=forget_topic, tell=tell))
        return made[-1]

    yield start
    service.open.set()
    service.failures, service.always = [], None
    for courier in made:
        courier.stop(PATIENCE)


def test_a_burst_goes_out_ten_to_a_request_in_order(start: Callable[..., Courier], service: Service) -> None:
    """Not in the thread that publishes; ``ceil(n / 10)`` requests, the last of them when it is asked to hurry."""
    courier = start()
    for number in range(34):
        assert courier.take(event(str(number)))
    assert courier.flush(PATIENCE)
    assert [len(request) for request in service.requests] == [10, 10, 10, 4]
    assert sum(service.requests, []) == [str(number) for number in range(34)]  # noqa: RUF017
    assert threading.get_ident() not in service.threads
    assert len(service.threads) == 1


def test_fewer_than_ten_leave_after_the_delay(start: Callable[..., Courier], service: Service) -> None:
    """Nobody has to ask."""
    courier = start(delay=0.05)
    courier.take(event("a"))
    service.wait_for_requests(1)
    assert service.requests == [["a"]]


def test_nothing_is_waited_for_while_the_service_is_silent(start: Callable[..., Courier], service: Service) -> None:
    """What is published meanwhile goes out behind it, in order, when the answer is there."""
    service.open.clear()
    courier = start()
    for number in range(25):
        courier.take(event(str(number)))
    service.wait_for_requests(1)
    assert not courier.flush(0.05)
    service.open.set()
    assert courier.flush(PATIENCE)
    assert sum(service.requests, []) == [str(number) for number in range(25)]  # noqa: RUF017


@pytest.mark.parametrize("failure", [THROTTLED, UNREACHABLE], ids=["throttled", "unreachable"])
def test_what_fails_in_passing_is_sent_again_in_its_place(
    start: Callable[..., Courier], service: Service, failure: Failure, caplog: pytest.LogCaptureFixture
) -> None:
    """A whole request, or the entries of it that have failed; twice in a row is nothing to speak of."""
    service.failures = [failure, {"1": failure, "3": failure}]
    courier = start()
    for body in "abcdefghij":
        courier.take(event(body))
    assert courier.flush(PATIENCE)
    assert service.requests == [list("abcdefghij"), list("abcdefghij"), ["b", "d"]]
    assert caplog.records == []


def test_an_outage_is_told_once_and_its_end(
    start: Callable[..., Courier], service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """However many attempts it takes."""
    caplog.set_level(logging.INFO)
    service.failures = [UNREACHABLE] * 8
    courier = start()
    courier.take(event("a"))
    assert courier.flush(PATIENCE)
    assert len(service.requests) == 9
    begin, end = (record.getMessage() for record in caplog.records)
    assert begin.startswith("events could not be sent, and wait until they can")
    assert "Timeout" in begin
    assert end == "events are sent again, after 8 attempts; 0 were dropped meanwhile"


def test_in_an_outage_the_oldest_are_dropped_and_the_publisher_goes_on(
    start: Callable[..., Courier], service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """Memory has a bound, and one line of the log says what is lost by that."""
    service.always = UNREACHABLE
    courier = start()
    courier.take(event("first"))
    assert not courier.flush(0.05)
    for number in range(MAX_PARCELS + 50):
        courier.take(event(str(number)))
    assert 50 <= courier.dropped <= 61  # those under way are not counted among those that wait
    service.always = None
    assert courier.flush(PATIENCE)
    arrived = [body for request in service.requests for body in request]
    assert arrived[-1] == str(MAX_PARCELS + 49)
    assert sum("the oldest are dropped" in record.getMessage() for record in caplog.records) == 1


def test_who_publishes_faster_than_the_service_answers_is_held_up_and_nothing_is_dropped(
    start: Callable[..., Courier], service: Service
) -> None:
    """Five times as many as there is room for."""
    courier = start()
    for number in range(5 * MAX_PARCELS):
        courier.take(event(str(number)))
    assert courier.flush(PATIENCE)
    assert courier.dropped == 0
    assert sum(map(len, service.requests)) == 5 * MAX_PARCELS


def test_a_service_that_hangs_holds_up_one_publisher_for_a_moment(
    start: Callable[..., Courier], service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that come after it do not wait again."""
    waits: list[float] = []
    courier = start()
    wait_for = courier._changed.wait_for
    monkeypatch.setattr(courier._changed, "wait_for", lambda *arguments: waits.append(0) or wait_for(*arguments))
    monkeypatch.setattr(couriers, "_FOR_ROOM", 0.01)
    service.open.clear()
    for number in range(10):
        courier.take(event(str(number)))
    service.wait_for_requests(1)
    for number in range(MAX_PARCELS + 90):
        courier.take(event(str(number)))
    assert len(waits) == 1
    assert courier.dropped == 90


def test_what_is_refused_is_dropped_and_told_once(
    start: Callable[..., Courier], service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """A missing permission costs the events and a line of the log, and no worker."""
    service.failures = [DENIED, DENIED, {"0": DENIED}]
    courier = start()
    for body in "abc":
        courier.take(event(body))
        assert courier.flush(PATIENCE)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "SNS:Publish" in record.getMessage()
    assert "docs/permissions.md" in record.getMessage()
    assert courier.dropped == 3


def test_an_exchange_that_is_gone_is_forgotten_and_named_in_the_log(
    start: Callable[..., Courier], service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """Its address is looked up again for the next event."""
    forgotten: list[str] = []
    service.failures = [MISSING]
    courier = start(forget_topic=forgotten.append)
    courier.take(event("a"))
    assert courier.flush(PATIENCE)
    assert forgotten == ["celeryev"]
    assert "exchange 'celeryev' did not take" in caplog.text


def test_the_thread_survives_what_nobody_has_thought_of(
    start: Callable[..., Courier], service: Service, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next event is sent."""
    courier = start()
    monkeypatch.setattr(couriers, "batch_operation", lambda batch: 1 // 0)
    courier.take(event("a"))
    assert courier.flush(PATIENCE)
    assert "ZeroDivisionError" in caplog.text
    monkeypatch.undo()
    courier.take(event("b"))
    assert courier.flush(PATIENCE)
    assert service.requests == [["b"]]


def test_a_stop_sends_what_waits_and_leaves_later_events_to_their_publishers(
    start: Callable[..., Courier], service: Service
) -> None:
    """They are sent at once then."""
    courier = start()
    courier.take(event("a"))
    courier.stop(PATIENCE)
    assert service.requests == [["a"]]
    assert not courier.take(event("b"))


def test_a_stop_in_an_outage_ends_and_says_what_was_left(
    start: Callable[..., Courier], service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """The thread ends, too."""
    service.always = UNREACHABLE
    courier = start()
    for body in "abc":
        courier.take(event(body))
    courier.stop(0.05)
    assert "3 events were not sent before the stop" in caplog.text
    assert courier._thread is not None
    courier._thread.join(PATIENCE)
    assert not courier._thread.is_alive()


def test_a_stop_while_a_publisher_waits_for_room_leaves_its_event_to_it(
    start: Callable[..., Courier], service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """And what is left is counted whole."""
    service.open.clear()
    courier = start()
    for number in range(10):
        courier.take(event(str(number)))
    service.wait_for_requests(1)
    for number in range(MAX_PARCELS):
        courier.take(event(str(number)))
    taken: list[bool] = []
    waiting = threading.Event()
    wait_for = courier._changed.wait_for

    def note(*arguments: Any) -> object:
        waiting.set()
        return wait_for(*arguments)

    courier._changed.wait_for = note  # type: ignore[method-assign, assignment]
    publisher = threading.Thread(target=lambda: taken.append(courier.take(event("late"))))
    publisher.start()
    assert waiting.wait(PATIENCE)
    courier.stop(0)
    publisher.join(PATIENCE)
    assert taken == [False]
    assert f"{MAX_PARCELS + 10} events were not sent before the stop" in caplog.text


def test_a_thread_that_cannot_start_leaves_the_event_to_its_publisher(
    start: Callable[..., Courier], service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one finds a thread again."""
    courier = start()

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        assert not courier.take(event("a"))
    assert courier.take(event("b"))
    assert courier.flush(PATIENCE)
    assert service.requests == [["b"]]


def test_each_event_is_told_when_it_is_known_what_became_of_it(start: Callable[..., Courier], service: Service) -> None:
    """Not when it was taken."""
    told: list[tuple[str, str, str | None]] = []
    service.failures = [{"0": THROTTLED, "1": DENIED}]
    courier = start(
        tell=lambda parcel, outcome, error: told.append((parcel.message.body, outcome, error and type(error).__name__))
    )
    for body in "abc":
        courier.take(event(body))
    assert told == []
    assert courier.flush(PATIENCE)
    assert told == [("c", "sent", None), ("b", "refused", "AccessDenied"), ("a", "sent", None)]
    service.open.clear()
    courier.take(event("d"))
    courier.stop(0)
    assert told[3:] == [("d", "dropped", None)]


def test_one_that_never_had_anything_has_no_thread(start: Callable[..., Courier]) -> None:
    """And stops at once."""
    before = threading.active_count()
    courier = start()
    assert courier.flush(0)
    courier.stop(0)
    assert threading.active_count() == before


@pytest.mark.parametrize("library", ["multiprocessing", "billiard"])
def test_in_the_child_of_a_pool_events_are_left_to_who_publishes_them(library: str) -> None:
    """Nothing runs when such a process ends: what still waited then would be lost."""
    code = f"""
import {library}
from kombu_sns_sqs.publishing.courier import Courier

def child(queue):
    queue.put(Courier(client=None, delay=1.0, forget_topic=None)._closed)

context = {library}.get_context("fork")
queue = context.Queue()
process = context.Process(target=child, args=(queue,))
process.start()
print(queue.get(timeout=20), Courier(client=None, delay=1.0, forget_topic=None)._closed)
process.join()
"""
    done: Any = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["True", "False"]
