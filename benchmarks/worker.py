"""A real Celery worker, watched from outside: when it began to consume, what it has done, what it costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.processes import BenchmarkFailed, Program, cpu_seconds, resident_bytes, wait_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from typing_extensions import Self

#: Seconds a worker may take to start on a machine that has other things to do.
_START: Final = 90.0
#: What `sqs://` cannot do is done by nobody, so that the work is the same for all.
QUIET: Final = ("--without-gossip", "--without-mingle", "--without-heartbeat")


class Worker:
    """``celery worker``: prefork, two processes, a prefetch multiplier of 50; it ends with the block.

    Tasks add a byte to a file when they are done, which costs every contender the same microseconds.
    """

    def __init__(self, *, arguments: Sequence[str], environment: Mapping[str, str], folder: Path, name: str) -> None:
        self._ledger = folder / f"{name}.done"
        self._ledger.touch()
        self._ready = folder / f"{name}.ready"
        self._log = folder / f"{name}.log"
        self._environment = {
            **environment,
            "BENCHMARK_LEDGER": str(self._ledger),
            "BENCHMARK_READY": str(self._ready),
            "C_FORCE_ROOT": "1",
        }
        command = ["-m", "celery", "-A", "benchmarks.programs.app", "worker", "-P", "prefork", "-c", "2"]
        self._command = [*command, "-l", "WARNING", "-n", f"{name}@benchmark", *QUIET, *arguments]

    def __enter__(self) -> Self:
        self._program = Program(self._command, log=self._log, environment=self._environment)
        return self

    def __exit__(self, *_: object) -> None:
        # Killed: its queue is nobody else's, and polls that are in flight take seconds to end.
        self._program.stop(grace=0)

    @property
    def done(self) -> int:
        """How many tasks it has finished."""
        return self._ledger.stat().st_size

    @property
    def cpu(self) -> float:
        """CPU seconds of its main process so far."""
        return cpu_seconds(self._program.process.pid)

    @property
    def resident(self) -> int:
        """Bytes of its main process in memory."""
        return resident_bytes(self._program.process.pid)

    def wait_until_ready(self) -> tuple[float, float]:
        """Wait until it consumes; return when that was (monotonic seconds), and its CPU seconds at that moment."""
        text = wait_for("a worker to start", self._notes_ready, timeout=_START)
        moment, cpu = map(float, text.split())
        return moment, cpu

    def wait_until_done(self, tasks: int, *, timeout: float) -> None:
        """Wait until it has finished so many tasks."""
        wait_for(f"{tasks} tasks to be done", lambda: self._alive() and self.done >= tasks, timeout=timeout)

    def _notes_ready(self) -> str:
        self._alive()
        return self._ready.read_text() if self._ready.exists() else ""

    def _alive(self) -> bool:
        if self._program.process.poll() is not None:
            raise BenchmarkFailed(f"the worker has ended:\n{self._program.last_words}")
        return True
