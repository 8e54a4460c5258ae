"""Whether a worker's main process grows with the messages it has handled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.benchmark import Benchmark
from benchmarks.contenders import OURS, RABBITMQ
from benchmarks.result import Figures, Mark, marks_of
from benchmarks.testbed import PATIENCE

if TYPE_CHECKING:
    from benchmarks.contenders import Contender
    from benchmarks.testbed import Testbed

_MIB: Final = 1 << 20
#: Messages come in so many portions: the next when the one before has been run.
_PORTIONS: Final = 10


class Memory(Benchmark):
    """One worker, fed portion by portion; its main process is looked at after the first and after the last."""

    name = "memory"
    title = "resident memory of a worker's main process"

    def takes(self, contender: Contender) -> bool:
        """RabbitMQ shows what Celery itself adds."""
        return contender.name in {OURS.name, RABBITMQ.name}

    def measure(self, testbed: Testbed, contender: Contender, figures: Figures) -> None:
        """Feed it."""
        queue = testbed.new_name("memory")
        portion = testbed.sizes.memory // _PORTIONS
        resident = []
        with testbed.worker(contender, queue) as worker:
            worker.wait_until_ready()
            for number in range(1, _PORTIONS + 1):
                testbed.publish(contender, queue, portion)
                worker.wait_until_done(portion * number, timeout=PATIENCE)
                resident.append(worker.resident)
        condition = f"{portion * _PORTIONS:,} messages"
        figures.add(contender.name, condition, "after a tenth", resident[0] / _MIB, "MiB")
        figures.add(contender.name, condition, "at the end", resident[-1] / _MIB, "MiB")
        figures.add(contender.name, condition, "growth", resident[-1] / resident[0], "times")

    def marks(self, figures: Figures, testbed: Testbed) -> tuple[Mark, ...]:
        """It stays within five per cent."""
        growth = next((one.value for one in figures if (one.contender, one.name) == (OURS.name, "growth")), None)
        return marks_of(("memory at the end ÷ after a tenth", growth, "<=", 1.05))
