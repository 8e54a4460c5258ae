"""Instructions a message takes once everything is warm: the one measure of work that a busy machine leaves alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.benchmark import Benchmark
from benchmarks.counting import find_counter
from benchmarks.result import Figures, Mark

if TYPE_CHECKING:
    from benchmarks.contenders import Contender
    from benchmarks.testbed import Testbed

#: Messages before the count begins.
_WARM_UP = 20
_UNIT = "thousand"


class Instructions(Benchmark):
    """A producer one by one and in batches, and a consumer on an event loop, without a pool."""

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

    def marks(self, figures: Figures, testbed: Testbed) -> tuple[Mark, ...]:
        """None of its own: it explains the CPU times of the others."""
        return ()
