"""Whether a message costs the same in a long backlog as in a short one, and among many queues as in one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.benchmark import Benchmark
from benchmarks.draining import Drained, drain
from benchmarks.result import Figures, Mark, marks_of

if TYPE_CHECKING:
    from benchmarks.contenders import Contender
    from benchmarks.testbed import Testbed


class Scaling(Benchmark):
    """Backlogs of growing length in one queue; one number of messages in a growing number of queues."""

    name = "scaling"
    title = "what a message costs as backlogs and queues grow"

    def takes(self, contender: Contender) -> bool:
        """Whoever can do that many in the time there is."""
        return contender.share == 1

    def measure(self, testbed: Testbed, contender: Contender, figures: Figures) -> None:
        """Drain each of them."""
        for tasks in testbed.sizes.scaling_messages:
            queue = testbed.new_name("scaling")
            testbed.publish(contender, queue, tasks)
            drained = drain(testbed, contender, queue=queue, tasks=tasks, rtt=testbed.rtt)
            _add(figures, contender, f"{tasks:,} messages", drained)
        for number in testbed.sizes.scaling_queues:
            stem = testbed.new_name("scaling")
            queues = [f"{stem}-{index}" for index in range(number)]
            tasks = testbed.sizes.scaling_tasks
            testbed.publish(contender, queues[0], tasks, queues=queues)
            drained = drain(testbed, contender, queue=queues[0], queues=queues, tasks=tasks, rtt=testbed.rtt)
            _add(figures, contender, f"{number:,} queues", drained)

    def marks(self, figures: Figures, testbed: Testbed) -> tuple[Mark, ...]:
        """None of its own: the curves show it."""
        return marks_of()


def _add(figures: Figures, contender: Contender, condition: str, drained: Drained) -> None:
    figures.add(contender.name, condition, "time", drained.seconds / drained.tasks * 1e6, "µs/message")
    figures.add(contender.name, condition, "main process CPU", drained.cpu_a_task, "µs/message")
    if contender.aws:
        figures.add(contender.name, condition, "API calls", drained.calls_a_task, "/message")
