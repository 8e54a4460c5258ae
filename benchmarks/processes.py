"""What processes cost, as Linux tells it; and child programs that talk in JSON."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import TracebackType

    from typing_extensions import Self

ROOT: Final = Path(__file__).parents[1]
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


class BenchmarkFailed(Exception):
    """A contender did not do what a benchmark asked of it."""


def wait_for(what: str, look: Callable[[], Any], *, timeout: float, interval: float = 0.005) -> Any:
    """Return the first true value of ``look``; BenchmarkFailed where none comes within ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while not (value := look()):
        if time.monotonic() > deadline:
            raise BenchmarkFailed(f"waited {timeout:.0f} s for {what}")
        time.sleep(interval)
    return value


def cpu_seconds(pid: int) -> float:
    """CPU time of a process with all its threads, without its children; in steps of 10 ms. 0 where it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident_bytes(pid: int) -> int:
    """The resident set of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE


def descendants(pid: int) -> set[int]:
    """The processes that stem from this one."""
    found: set[int] = set()
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, path.read_text().split()):
                found |= {child, *descendants(child)}
    return found


def keep_on(cores: set[int], pids: Iterable[int]) -> None:
    """Let processes, with the threads they have, run on some cores only; what they start later does so, too."""
    for pid in pids:
        for thread in Path(f"/proc/{pid}/task").glob("*"):
            with contextlib.suppress(OSError):
                os.sched_setaffinity(int(thread.name), cores)


class Program:
    """A Python module run in a process group of its own, ended with the block whatever it is doing.

    It writes one JSON line for each thing it has to say, and reads such lines.
    """

    def __init__(
        self, arguments: Sequence[str], *, log: Path, environment: Mapping[str, str], prefix: Sequence[str] = ()
    ) -> None:
        self._log = log
        with log.open("wb") as errors:
            self.process = subprocess.Popen(
                [*prefix, sys.executable, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=ROOT,
                env={**os.environ, **environment, "PYTHONPATH": str(ROOT)},
                start_new_session=True,
            )
        self._unread = b""

    def hear(self, timeout: float) -> dict[str, Any]:
        """Return the next line it says; BenchmarkFailed if it ends or stays silent for ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        output = self.process.stdout.fileno()  # type: ignore[union-attr]
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            while b"\n" not in self._unread:
                readable = selector.select(max(0.0, deadline - time.monotonic()))
                data = os.read(output, 1 << 16) if readable else b""
                if not data:
                    raise BenchmarkFailed(f"a program {'ended' if readable else 'said nothing'}:\n{self.last_words}")
                self._unread += data
        line, _, self._unread = self._unread.partition(b"\n")
        return dict(json.loads(line))

    def tell(self, **command: Any) -> None:
        """Send it a line."""
        self.process.stdin.write(json.dumps(command).encode() + b"\n")  # type: ignore[union-attr]
        self.process.stdin.flush()  # type: ignore[union-attr]

    def close_input(self) -> None:
        """Tell it that there is nothing more to read."""
        self.process.stdin.close()  # type: ignore[union-attr]

    @property
    def last_words(self) -> str:
        """The end of what it wrote as errors and log."""
        return self._log.read_text(errors="replace")[-3000:]

    def stop(self, grace: float = 0.0) -> None:
        """Give it so many seconds to end by itself, then see to it that it does, with its children."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(grace)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                stream.close()  # type: ignore[union-attr]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
