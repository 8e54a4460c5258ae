"""Instructions a message takes once everything is warm: the one measure of work that a busy machine leaves alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.benchmark import Benchmark
from benchmarks.counting import find_counter
from benchmarks.result import Figures, Mark, marks_of

if TYPE_CHECKING:
    from benchmarks.contenders import Contender
    from benchmarks.testbed import Testbed

#: Messages before the count begins, and for a worker: more than it prefetches, so that it is busy with all of a task.
_WARM_UP = 20
_WINDOW = 50
_UNIT = "thousand"
#: A worker is counted for longer: how its polls and acks come together is a matter of chance.
_MORE = 4


class Instructions(Benchmark):
    """A producer one by one and in batches, a consumer on an event loop without a pool, a worker's main process."""

    name = "instructions"
    title = "instructions in user space for a message, steady"

    def measure(self, testbed: Testbed, contender: Contender, figures: Figures) -> None:
        """Count, where something here can."""
        counter = find_counter()
        if counter is None:
            note = "instructions were not counted: perf has no counter here, and valgrind is not installed"
            testbed.notes += [] if note in testbed.notes else [note]
            return
        messages = testbed.sizes.instructions
        for way, condition in (("delay", "published one by one"), ("batch", "published in batches")):
            settings = {"way": way, "queue": testbed.new_name("count")}
            value = counter.each(testbed, contender, "producer", messages=messages, skip=_WARM_UP, **settings)
            figures.add(contender.name, condition, f"producer ({counter.name})", value / 1000, _UNIT)
        queue = testbed.new_name("count")
        # Enough for two runs, and for what a run takes without counting it.
        testbed.fill(contender, queue, 4 * (messages + _WARM_UP) + 200)
        value = counter.each(testbed, contender, "consumer", messages=messages, skip=_WARM_UP, queues=[queue])
        figures.add(contender.name, "consumed", f"consumer ({counter.name})", value / 1000, _UNIT)
        if counter.alone:
            queue, tasks = testbed.new_name("count"), _MORE * messages
            testbed.publish(contender, queue, tasks + 3 * _WINDOW)
            value = counter.each(testbed, contender, "working", messages=tasks, skip=_WINDOW + _WARM_UP, queue=queue)
            figures.add(contender.name, "run", f"worker's main process ({counter.name})", value / 1000, _UNIT)

    def marks(self, figures: Figures, testbed: Testbed) -> tuple[Mark, ...]:
        """A producer costs no more than on Redis, a worker's main process little more than on RabbitMQ."""
        counter = find_counter()
        if counter is None:
            return ()
        return marks_of(
            (
                "instructions of a delay() ÷ Redis's",
                figures.ratio("published one by one", f"producer ({counter.name})", "sns-sqs", "redis"),
                "<=",
                1.0,
            ),
            (
                "instructions of a worker's main process ÷ RabbitMQ's",
                figures.ratio("run", f"worker's main process ({counter.name})", "sns-sqs", "rabbitmq"),
                "<=",
                1.2,
            ),
        )
