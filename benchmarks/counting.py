"""Counts the instructions of a child program: in hardware with perf where the kernel lets it, else with callgrind."""

from __future__ import annotations

import abc
import re
import shutil
import subprocess
from functools import cache
from typing import TYPE_CHECKING, Any

from benchmarks.processes import BenchmarkFailed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.contenders import Contender
    from benchmarks.testbed import Testbed


class Counter(abc.ABC):
    """Runs programs of `benchmarks.programs` and says what a message takes."""

    #: What the tables call it.
    name: str
    #: Whether it can leave out the processes that the program forks.
    alone: bool

    @abc.abstractmethod
    def each(
        self, testbed: Testbed, contender: Contender, module: str, *, messages: int, skip: int, **settings: Any
    ) -> float:
        """Instructions in user space for each of so many messages, after the first `skip`."""

    @staticmethod
    def _run(
        testbed: Testbed, contender: Contender, module: str, prefix: Sequence[str], **settings: Any
    ) -> tuple[int, int, str]:
        """Run it; give its messages, its process id and its last words."""
        with testbed.program(module, contender, prefix=prefix, **settings) as program:
            while "messages" not in (answer := program.hear(300)):
                pass
            program.stop(grace=60)
            return answer["messages"], program.process.pid, program.last_words


class Perf(Counter):
    """Two runs of different length: what comes once, imports and connections, cancels out."""

    name = "perf"
    alone = False  # Told to leave out child processes, it leaves out threads, too.

    def each(
        self, testbed: Testbed, contender: Contender, module: str, *, messages: int, skip: int, **settings: Any
    ) -> float:
        """Run it for so many messages, and for twice as many."""
        short, long = (
            self._count(testbed, contender, module, messages=many + skip, skip=skip, **settings)
            for many in (messages, 2 * messages)
        )
        return (long[1] - short[1]) / (long[0] - short[0])

    def _count(self, testbed: Testbed, contender: Contender, module: str, **settings: Any) -> tuple[int, int]:
        output: Path = testbed.folder / "perf.csv"
        prefix = ["perf", "stat", "-x,", "-e", "instructions:u", "-o", str(output)]
        messages, _, _ = self._run(testbed, contender, module, prefix, **settings)
        return messages, _found(r"^(\d+),[^\n]*instructions:u", output.read_text())


class Callgrind(Counter):
    """One run: the program itself has the count switched on for the stretch that matters.

    All of a program under it would take minutes for the imports alone.
    """

    name = "callgrind"
    alone = True

    def each(
        self, testbed: Testbed, contender: Contender, module: str, *, messages: int, skip: int, **settings: Any
    ) -> float:
        """Run it once."""
        options = ("--tool=callgrind", "--instr-atstart=no", "--callgrind-out-file=/dev/null", "--vgdb-poll=500")
        settings = {**settings, "messages": messages + skip, "skip": skip, "gate": self.name}
        counted, pid, words = self._run(testbed, contender, module, ["valgrind", *options], **settings)
        return _found(rf"^=={pid}== Collected\s*:\s*(\d+)", words) / counted


@cache
def find_counter() -> Counter | None:
    """What can count on this machine, the quicker first; None where nothing can."""
    if shutil.which("perf") is not None:
        trial = subprocess.run(
            ["perf", "stat", "-x,", "-e", "instructions:u", "true"], capture_output=True, text=True, check=False
        )
        if trial.returncode == 0 and re.search(r"^\d+,", trial.stderr, re.MULTILINE):
            return Perf()
    return Callgrind() if shutil.which("valgrind") and shutil.which("vgdb") else None


def _found(pattern: str, text: str) -> int:
    found = re.search(pattern, text, re.MULTILINE)
    if found is None:
        raise BenchmarkFailed(f"there is no count in what was written:\n{text[-1000:]}")
    return int(found[1])
