"""What a benchmark is, and how one is run: each contender by itself, and one that fails does not end the run."""

from __future__ import annotations

import abc
import time
from typing import TYPE_CHECKING, ClassVar

from benchmarks.processes import BenchmarkFailed
from benchmarks.result import Figures, Mark, Result

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.contenders import Contender
    from benchmarks.testbed import Testbed


class Benchmark(abc.ABC):
    """One subject: what is measured of a contender, and what the numbers are held against."""

    #: What the command line calls it.
    name: ClassVar[str]
    #: What it measures, in words.
    title: ClassVar[str]
    #: Whether it takes little time and tells little at once: it is run ``Sizes.rounds`` times, contenders by turns.
    repeated: ClassVar[bool] = False

    def takes(self, contender: Contender) -> bool:
        """Whether a contender can take part."""
        return True

    def measure(self, testbed: Testbed, contender: Contender, figures: Figures) -> None:
        """Measure one contender. Raises BenchmarkFailed where it does not do what is asked of it."""

    def measure_together(self, testbed: Testbed, contenders: list[Contender], figures: Figures) -> None:
        """Measure what takes time and no work, or is compared from moment to moment: for all contenders at once."""

    @abc.abstractmethod
    def marks(self, figures: Figures, testbed: Testbed) -> tuple[Mark, ...]:
        """Hold the figures against what is asked; what was not measured is left out."""

    def run(self, testbed: Testbed, progress: Callable[[str], None]) -> Result:
        """Measure everybody who can take part."""
        figures, failures = Figures(), []
        contenders = [contender for contender in testbed.contenders if self.takes(contender)]
        begun = time.monotonic()
        for contender in contenders * (testbed.sizes.rounds if self.repeated else 1):
            progress(f"{self.name}: {contender.name}")
            try:
                self.measure(testbed, contender, figures)
            except BenchmarkFailed as failure:
                failures.append(f"{contender.name}: {failure}")
        progress(f"{self.name}: all")
        try:
            self.measure_together(testbed, contenders, figures)
        except BenchmarkFailed as failure:
            failures.append(str(failure))
        return Result(
            benchmark=self.name,
            title=self.title,
            figures=figures,
            marks=self.marks(figures, testbed),
            failures=tuple(failures),
            seconds=time.monotonic() - begun,
        )


def at(rtt: float) -> str:
    """The condition of a round trip: ``15 ms``."""
    return f"{rtt * 1000:g} ms"
