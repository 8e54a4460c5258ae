"""How long a message is on its way: to an idle consumer, to many queues, beside a long backlog, by a window of one.

A message is stamped when ``publish()`` is called and again when the consumer's callback is: publishing is part of it.
The connection is warm. On any broker that is one round trip at best: half to the broker, half to the consumer.
"""

from __future__ import annotations

import statistics
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from benchmarks.benchmark import Benchmark, at
from benchmarks.result import Figures, Mark, marks_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.contenders import Contender
    from benchmarks.processes import Program
    from benchmarks.testbed import Testbed

#: Seconds a consumer has for what it is asked to take.
_LONG: Final = 120.0
#: Seconds after which a consumer that says it consumes has surely reached its broker on every queue.
_SETTLED: Final = 1.0
_ROUNDS: Final = 3
_SHORT_QUEUES: Final = 4
_WINDOW: Final = 200
_MS: Final = 1000

_IDLE, _SPREAD, _STARVING, _SINGLE = "idle consumer", "queues at once", "beside a backlog", "window of one"


class Latency(Benchmark):
    """Plain kombu on an event loop, one consumer, one publisher, each a process."""

    name = "latency"
    title = "from the call of publish() to the consumer's callback"

    def measure(self, testbed: Testbed, contender: Contender, figures: Figures) -> None:
        """One after the other."""
        self._idle(testbed, contender, figures)
        if contender.fans_out:
            self._broadcast(testbed, contender, figures)
        self._spread(testbed, contender, figures)
        self._starving(testbed, contender, figures)
        self._single_file(testbed, contender, figures)

    def marks(self, figures: Figures, testbed: Testbed) -> tuple[Mark, ...]:
        """In round trips, beyond what the service takes."""
        trip = testbed.trip * _MS
        far, near = (figures.value("sns-sqs", _broadcast(rtt), "last") for rtt in (testbed.rtt, 0.0))
        beyond = far - near if far is not None and near is not None else None
        queues = testbed.sizes.queues
        spread = figures.value("sns-sqs", _SPREAD, "spread")
        taken = figures.value("sns-sqs", _STARVING, "of it taken meanwhile")
        return marks_of(
            ("ms to an idle consumer beyond a round trip", _less(figures, _IDLE, "median", trip), "<=", 20.0),
            (f"ms of a broadcast to {queues} queues beyond that at 0 ms", beyond, "<=", 2 * trip or 20.0),
            (f"ms between first and last of {queues} queues", spread, "<=", 2 * trip or 20.0),
            ("part of the backlog that went before the last message of other queues", taken, "<=", 0.1),
        )

    def _idle(self, testbed: Testbed, contender: Contender, figures: Figures) -> None:
        queue = testbed.new_name("latency")
        trials = testbed.sizes.trials
        settings: dict[str, Any] = {"queues": [queue], "stamped": trials}
        with _pair(testbed, contender, **settings) as (consumer, publisher):
            consumer.hear(_LONG)
            _publish(publisher, queues=[queue])
            with testbed.round_trip(testbed.rtt):
                for _ in range(trials):
                    time.sleep(testbed.sizes.gap)
                    _publish(publisher, queues=[queue], stamped=True)
                latencies = _latencies(consumer)
        figures.add(contender.name, _IDLE, "median", statistics.median(latencies), "ms")
        figures.add(contender.name, _IDLE, "worst", max(latencies), "ms")

    def _broadcast(self, testbed: Testbed, contender: Contender, figures: Figures) -> None:
        exchange = testbed.new_name("broadcast")
        queues = [f"{exchange}-{number}" for number in range(testbed.sizes.queues)]
        rtts = sorted({testbed.rtt, 0.0})
        settings: dict[str, Any] = {
            "queues": queues,
            "exchange": exchange,
            "stamped": len(queues) * _ROUNDS * len(rtts),
        }
        with _pair(testbed, contender, **settings) as (consumer, publisher):
            consumer.hear(_LONG)
            time.sleep(_SETTLED)
            _publish(publisher, exchange=exchange)
            for rtt in rtts:
                with testbed.round_trip(rtt):
                    for _ in range(_ROUNDS):
                        time.sleep(testbed.sizes.gap)
                        _publish(publisher, exchange=exchange, stamped=True)
                    time.sleep(testbed.sizes.gap)
            last: dict[float, float] = {}
            for _, sent, came in consumer.hear(_LONG)["stamps"]:
                last[sent] = max(last.get(sent, 0.0), (came - sent) * _MS)
        rounds = [last[sent] for sent in sorted(last)]
        for number, rtt in enumerate(rtts):
            part = rounds[number * _ROUNDS : (number + 1) * _ROUNDS]
            figures.add(contender.name, _broadcast(rtt), "last", statistics.median(part), "ms")

    def _spread(self, testbed: Testbed, contender: Contender, figures: Figures) -> None:
        stem = testbed.new_name("spread")
        queues = [f"{stem}-{number}" for number in range(testbed.sizes.queues)]
        settings: dict[str, Any] = {"queues": queues, "window": _WINDOW, "stamped": len(queues)}
        with _pair(testbed, contender, **settings) as (consumer, publisher):
            consumer.hear(_LONG)
            _publish(publisher, queues=queues)
            time.sleep(_SETTLED)
            with testbed.round_trip(testbed.rtt):
                _publish(publisher, queues=queues, stamped=True)
                latencies = _latencies(consumer)
        figures.add(contender.name, _SPREAD, "median", statistics.median(latencies), "ms")
        figures.add(contender.name, _SPREAD, "spread", max(latencies) - min(latencies), "ms")

    def _starving(self, testbed: Testbed, contender: Contender, figures: Figures) -> None:
        stem = testbed.new_name("starving")
        long, *short = (f"{stem}-{number}" for number in range(_SHORT_QUEUES + 1))
        backlog = contender.messages(testbed.sizes.starving_backlog)
        testbed.fill(contender, long, backlog)
        settings: dict[str, Any] = {"queues": [long, *short], "window": _WINDOW, "stamped": _ROUNDS * len(short)}
        with testbed.program("publisher", contender) as publisher:
            _publish(publisher, queues=short)
            with testbed.program("consumer", contender, **settings) as consumer, testbed.round_trip(testbed.rtt):
                consumer.hear(_LONG)
                for _ in range(_ROUNDS):
                    _publish(publisher, queues=short, stamped=True)
                taken = consumer.hear(_LONG)
        latencies = [(came - sent) * _MS for _, sent, came in taken["stamps"]]
        figures.add(contender.name, _STARVING, "backlog", backlog, "")
        figures.add(contender.name, _STARVING, "of it taken meanwhile", taken["counts"][long] / backlog, "of 1")
        figures.add(contender.name, _STARVING, "median", statistics.median(latencies), "ms")
        figures.add(contender.name, _STARVING, "worst", max(latencies), "ms")

    def _single_file(self, testbed: Testbed, contender: Contender, figures: Figures) -> None:
        queue = testbed.new_name("single")
        messages = testbed.sizes.single_file
        testbed.fill(contender, queue, messages)
        with (
            testbed.round_trip(testbed.rtt),
            testbed.program("consumer", contender, queues=[queue], window=1, messages=messages, skip=1) as consumer,
        ):
            consumer.hear(_LONG)
            taken = consumer.hear(_LONG)
        figures.add(contender.name, _SINGLE, "a message every", taken["seconds"] / taken["messages"] * _MS, "ms")


@contextmanager
def _pair(testbed: Testbed, contender: Contender, **settings: Any) -> Iterator[tuple[Program, Program]]:
    """Start a consumer, and a publisher beside it."""
    with (
        testbed.program("consumer", contender, **settings) as consumer,
        testbed.program("publisher", contender) as publisher,
    ):
        yield consumer, publisher


def _publish(publisher: Program, **command: Any) -> None:
    publisher.tell(**command)
    publisher.hear(_LONG)


def _latencies(consumer: Program) -> list[float]:
    return [(came - sent) * _MS for _, sent, came in consumer.hear(_LONG)["stamps"]]


def _broadcast(rtt: float) -> str:
    return f"broadcast, {at(rtt)}"


def _less(figures: Figures, condition: str, name: str, trip: float) -> float | None:
    value = figures.value("sns-sqs", condition, name)
    return None if value is None else value - trip
