"""How fast a producer publishes, one by one and in batches, and what that costs it."""

from __future__ import annotations

import random
from contextlib import ExitStack
from typing import TYPE_CHECKING

from benchmarks.benchmark import Benchmark, at
from benchmarks.processes import keep_on
from benchmarks.result import Figures, Mark, marks_of
from benchmarks.testbed import PATIENCE

if TYPE_CHECKING:
    from benchmarks.contenders import Contender
    from benchmarks.testbed import Testbed

#: Ways to publish, and what they are called in the tables.
WAYS = {"delay": "delay()", "batch": "Producer.batch()", "group": "group()"}


class Publish(Benchmark):
    """``delay()`` in a loop, kombu's ``Producer.batch()``, Celery's ``group``."""

    name = "publish"
    repeated = True
    title = "a producer publishes no-op tasks"

    def measure(self, testbed: Testbed, contender: Contender, figures: Figures) -> None:
        """Publish in batches and groups, to a queue of its own each time."""
        for way in ("batch", "group"):
            messages = contender.messages(testbed.sizes.publish)
            queue = testbed.new_name("publish")
            with testbed.round_trip(testbed.rtt), testbed.phase(contender) as phase:
                cost = testbed.publish(contender, queue, messages, way=way)
            _add(figures, contender, WAYS[way], cost)
            if contender.aws:
                figures.add(contender.name, WAYS[way], "API calls", phase.traffic.data_calls / messages, "/task")

    def measure_together(self, testbed: Testbed, contenders: list[Contender], figures: Figures) -> None:
        """Publish one by one, a few at a time in turn: what a wait costs depends on what else the machine does then."""
        sizes = testbed.sizes
        with ExitStack() as stack:
            producers = {}
            cores = stack.enter_context(testbed.apart())
            for contender in contenders:
                queue = testbed.new_name("publish")
                settings = {"way": "delay", "queue": queue, "messages": sizes.publish_singly, "in_turns": True}
                producers[contender.name] = stack.enter_context(testbed.program("producer", contender, **settings))
                keep_on(cores, [producers[contender.name].process.pid])
                producers[contender.name].hear(PATIENCE)
            stack.enter_context(testbed.round_trip(testbed.rtt))
            for _ in range(sizes.turns):
                # Nobody comes after the same one each time, nor after itself.
                for contender in random.sample(contenders, len(contenders)):
                    with testbed.phase(contender) as phase:
                        producers[contender.name].tell()
                        cost = producers[contender.name].hear(PATIENCE)
                    _add(figures, contender, WAYS["delay"], cost)
                    if contender.aws:
                        calls = phase.traffic.data_calls / sizes.publish_singly
                        figures.add(contender.name, WAYS["delay"], "API calls", calls, "/task")

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


def _add(figures: Figures, contender: Contender, title: str, cost: dict[str, float]) -> None:
    figures.add(contender.name, title, "rate", cost["messages"] / cost["seconds"], "tasks/s")
    figures.add(contender.name, title, "producer CPU", cost["cpu"] / cost["messages"] * 1e6, "µs/task")
