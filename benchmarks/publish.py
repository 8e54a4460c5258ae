"""How fast a producer publishes, one by one and in batches, and what that costs it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

from benchmarks.benchmark import Benchmark, at
from benchmarks.processes import Program, keep_on
from benchmarks.result import Figures, Mark, marks_of
from benchmarks.testbed import PATIENCE

if TYPE_CHECKING:
    from benchmarks.contenders import Contender
    from benchmarks.testbed import Testbed

#: Ways to publish, and what they are called in the tables.
WAYS = {"delay": "delay()", "batch": "Producer.batch()", "group": "group()"}
#: At the beginning of a turn so many are not measured: they find the caches that somebody else has filled.
_FIRST: Final = 3


class Publish(Benchmark):
    """``delay()`` in a loop, kombu's ``Producer.batch()``, Celery's ``group``."""

    name = "publish"
    title = "a producer publishes no-op tasks"

    def measure_together(self, testbed: Testbed, contenders: list[Contender], figures: Figures) -> None:
        """Let each publish in its turn: what is measured of neighbours was measured on the same machine."""
        for way in WAYS:
            with ExitStack() as stack:
                # Who sends in bulk is held against brokers that work at the same time; who waits is measured alone.
                cores = stack.enter_context(testbed.apart()) if way == "delay" else None
                producers = {one.name: stack.enter_context(_producer(testbed, one, way, cores)) for one in contenders}
                stack.enter_context(testbed.round_trip(testbed.rtt))
                for _ in range(testbed.sizes.turns if way == "delay" else testbed.sizes.bulk_turns):
                    # Nobody comes after the same one each time, nor after itself.
                    for contender in random.sample(contenders, len(contenders)):
                        _take_turn(testbed, contender, producers[contender.name], way, figures)

    def marks(self, figures: Figures, testbed: Testbed) -> tuple[Mark, ...]:
        """A plain ``delay()`` costs no more than on Redis; batches and groups are as fast as on RabbitMQ."""
        cpu = figures.ratio(WAYS["delay"], "producer CPU", "sns-sqs", "redis")
        rates = [
            (
                f"rate of {WAYS[way]} at {at(testbed.rtt)} ÷ RabbitMQ's",
                figures.ratio(WAYS[way], "rate", "sns-sqs", "rabbitmq"),
            )
            for way in ("batch", "group")
        ]
        return marks_of(
            (f"producer CPU of a delay() at {at(testbed.rtt)} ÷ Redis's", cpu, "<=", 1.0),
            *((what, ratio, ">=", 1.0) for what, ratio in rates),
        )


def _messages(testbed: Testbed, contender: Contender, way: str) -> int:
    sizes = testbed.sizes
    return sizes.publish_singly if way == "delay" else contender.messages(sizes.publish)


@contextmanager
def _producer(testbed: Testbed, contender: Contender, way: str, cores: set[int] | None) -> Iterator[Program]:
    """Have a producer that is connected, and waits for its turns."""
    queue, messages = testbed.new_name("publish"), _messages(testbed, contender, way)
    with testbed.program(
        "producer", contender, way=way, queue=queue, messages=messages, skip=_FIRST, in_turns=True
    ) as producer:
        if cores is not None:
            keep_on(cores, [producer.process.pid])
        producer.hear(PATIENCE)
        yield producer


def _take_turn(testbed: Testbed, contender: Contender, producer: Program, way: str, figures: Figures) -> None:
    with testbed.phase(contender) as phase:
        producer.tell()
        cost = producer.hear(PATIENCE)
    name, title = contender.name, WAYS[way]
    figures.add(name, title, "rate", cost["messages"] / cost["seconds"], "tasks/s")
    figures.add(name, title, "producer CPU", cost["cpu"] / cost["messages"] * 1e6, "µs/task")
    if contender.aws:
        figures.add(name, title, "API calls", phase.traffic.data_calls / (cost["messages"] + _FIRST), "/task")
