"""How fast a worker empties a backlog, and what that costs its main process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.benchmark import Benchmark, at
from benchmarks.draining import drain
from benchmarks.result import Figures, Mark, marks_of
from benchmarks.traffic import DATA_PLANE

if TYPE_CHECKING:
    from benchmarks.contenders import Contender
    from benchmarks.testbed import Testbed


class Drain(Benchmark):
    """A backlog of no-op tasks, one worker with two processes, at the round trip and without."""

    name = "drain"
    repeated = True
    title = "a worker (prefork, 2 processes, prefetch multiplier 50) empties a backlog of no-op tasks"

    def measure(self, testbed: Testbed, contender: Contender, figures: Figures) -> None:
        """Fill a queue, start a worker, wait for the last task."""
        tasks = contender.messages(testbed.sizes.backlog)
        for rtt in sorted({testbed.rtt, 0.0}, reverse=True):
            queue = testbed.new_name("drain")
            testbed.publish(contender, queue, tasks)
            drained = drain(testbed, contender, queue=queue, tasks=tasks, rtt=rtt)
            figures.add(contender.name, at(rtt), "tasks", tasks, "")
            figures.add(contender.name, at(rtt), "rate", drained.rate, "tasks/s")
            figures.add(contender.name, at(rtt), "main process CPU", drained.cpu_a_task, "µs/task")
            figures.add(contender.name, at(rtt), "CPU of broker and relay", drained.cpu_elsewhere, "µs/task")
            if contender.aws:
                figures.add(contender.name, at(rtt), "API calls", drained.calls_a_task, "/task")
                for action in sorted(DATA_PLANE & drained.traffic.calls.keys()):
                    calls = drained.traffic.calls[action] / tasks
                    figures.add(contender.name, at(rtt), f"API calls, {action}", calls, "/task")

    def marks(self, figures: Figures, testbed: Testbed) -> tuple[Mark, ...]:
        """Held against RabbitMQ, and against the best of `sqs://`."""
        far, near = at(testbed.rtt), at(0.0)
        cpu = "main process CPU"
        return marks_of(
            (f"rate at {far} ÷ RabbitMQ's", figures.ratio(far, "rate", "sns-sqs", "rabbitmq"), ">=", 1.0),
            (f"rate at {far} ÷ tuned sqs://'s", figures.ratio(far, "rate", "sns-sqs", "sqs-tuned"), ">=", 25.0),
            (f"rate at {near} ÷ RabbitMQ's", figures.ratio(near, "rate", "sns-sqs", "rabbitmq"), ">=", 0.8),
            (
                f"CPU of the main process at {far} ÷ RabbitMQ's",
                figures.ratio(far, cpu, "sns-sqs", "rabbitmq"),
                "<=",
                1.2,
            ),
        )
