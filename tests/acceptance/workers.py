"""Real Celery workers for the tests: their own session, their log in a file, and no way to outlive a test."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import warnings
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from typing_extensions import Self


#: Whether what is missing fails a test, where it is left out otherwise.
STRICT = os.environ.get("CI_STRICT") == "1"


def needs(library: str) -> pytest.MarkDecorator:
    """Skip where a library does not import; in a strict run nothing is skipped, and what needs it fails."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # eventlet says that it is deprecated
            import_module(library)
    except Exception as exc:  # noqa: BLE001 -- eventlet fails with an AttributeError on a Python it does not know
        return pytest.mark.skipif(condition=not STRICT, reason=f"{library} does not import here: {exc!r}")
    return pytest.mark.skipif(condition=False, reason="")


#: Pools of greenlets, skipped where their library does not import, as on newer Pythons.
GEVENT = pytest.param("gevent", marks=needs("gevent"))
EVENTLET = pytest.param("eventlet", marks=needs("eventlet"))
#: A pool whose main loop has no hub, if there is one here.
GREEN = "threads" if GEVENT.marks[0].kwargs["condition"] else "gevent"
#: Every pool that Celery has.
POOLS = ("prefork", "solo", "threads", GEVENT, EVENTLET)
#: Seconds after which what has not happened will not happen; only ever spent on a failure.
PATIENCE = 40.0


class Worker:
    """A ``celery -A APP worker`` of its own."""

    def __init__(
        self,
        app: str,
        *,
        folder: Path,
        cwd: Path,
        environment: dict[str, str],
        name: str = "w1",
        pool: str = "prefork",
        arguments: tuple[str, ...] = (),
    ) -> None:
        self.name = f"{name}@test"
        self._told_to_stop = False
        self.log = folder / f"{name}-{pool}-{time.monotonic_ns()}.log"
        command = [
            "-m",
            "celery",
            "-A",
            app,
            "worker",
            "-n",
            self.name,
            "-P",
            pool,
            "-c",
            "2",
            "-l",
            "INFO",
            *arguments,
        ]
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=cwd,
                env={**environment, "C_FORCE_ROOT": "1", "PYTHONUNBUFFERED": "1"},
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        """All it has written."""
        return self.log.read_text(errors="replace")

    def wait_for(self, text: str, timeout: float = PATIENCE) -> None:
        """Wait until it has written this."""
        deadline = time.monotonic() + timeout
        while text not in self.output:
            assert self.process.poll() is None, f"{self.name} has ended:\n{self.output[-3000:]}"
            assert time.monotonic() < deadline, f"{self.name} did not write {text!r}:\n{self.output[-3000:]}"
            time.sleep(0.05)

    def send(self, number: int) -> None:
        """Send a signal to the main process."""
        self.process.send_signal(number)

    def tell_to_stop(self) -> None:
        """Ask for a warm shutdown, once."""
        if not self._told_to_stop and self.process.poll() is None:
            self.send(signal.SIGTERM)
        self._told_to_stop = True

    def wait(self, timeout: float = PATIENCE) -> int:
        """Wait for its end and return the exit status."""
        return self.process.wait(timeout)

    def kill(self) -> None:
        """End it and its children at once, as a crash would."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def __enter__(self) -> Self:
        try:
            self.wait_for("ready.")
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            print(f"--- the end of {self.name}'s log ---\n{self.output[-4000:]}")
        self.tell_to_stop()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(25)
        self.kill()


@contextlib.contextmanager
def together(*workers: Worker) -> Iterator[tuple[Worker, ...]]:
    """Have workers that are made at the same time: they start, and at the end stop, beside each other."""
    with contextlib.ExitStack() as stack:
        for worker in workers:
            stack.callback(worker.kill)
        for worker in workers:
            stack.enter_context(worker)
        yield workers
        for worker in workers:
            worker.tell_to_stop()
