"""How fast a producer publishes, one by one and in batches, and what that costs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.benchmark import Benchmark, at
from benchmarks.result import Figures, Mark, marks_of

if TYPE_CHECKING:
    from benchmarks.contenders import Contender
    from benchmarks.testbed import Testbed

#: Ways to publish, and what they are called in the tables.
WAYS = {"delay": "delay()", "batch": "Producer.batch()", "group": "group()"}


class Publish(Benchmark):
    """``delay()`` in a loop, kombu's ``Producer.batch()``, Celery's ``group``."""

    name = "publish"
    title = "a producer publishes no-op tasks"

    def measure(self, testbed: Testbed, contender: Contender, figures: Figures) -> None:
        """Publish each way to a queue of its own."""
        for way, title in WAYS.items():
            messages = testbed.sizes.publish_singly if way == "delay" else contender.messages(testbed.sizes.publish)
            queue = testbed.new_name("publish")
            with testbed.round_trip(testbed.rtt), testbed.phase(contender) as phase:
                cost = testbed.publish(contender, queue, messages, way=way)
            figures.add(contender.name, title, "rate", cost["messages"] / cost["seconds"], "tasks/s")
            figures.add(contender.name, title, "producer CPU", cost["cpu"] / cost["messages"] * 1e6, "µs/task")
            if contender.aws:
                figures.add(contender.name, title, "API calls", phase.traffic.data_calls / messages, "/task")

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
