"""Programs the demo starts: each in a process group of its own, so that none outlives it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

#: Seconds after which what has not happened will not happen.
PATIENCE = 30.0


class StepFailed(Exception):
    """A step of the demo did not do what it promises."""


def wait_for(what: str, look: Callable[[], T], timeout: float = PATIENCE) -> T:
    """Return the first true value of ``look``; StepFailed where none comes in time."""
    deadline = time.monotonic() + timeout
    while not (value := look()):
        if time.monotonic() > deadline:
            raise StepFailed(f"waited {timeout:.0f} s for {what}; last seen: {value!r}")
        time.sleep(0.05)
    return value


class Program:
    """A child process with its output in a file."""

    def __init__(self, name: str, *arguments: str, folder: Path, environment: dict[str, str]) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=environment,
                cwd=Path(__file__).parent,
                start_new_session=True,
            )

    def says(self, text: str) -> bool:
        """Whether the program has written this."""
        if self.process.poll() is not None and text not in self.output:
            raise StepFailed(f"{self.name} has ended with status {self.process.returncode}")
        return text in self.output

    @property
    def output(self) -> str:
        """All the program has written."""
        return self.log.read_text(errors="replace")

    def ask_to_stop(self, number: int = signal.SIGTERM) -> None:
        """Send the signal after which the program should end by itself."""
        if self.process.poll() is None:
            self.process.send_signal(number)

    def wait(self, timeout: float = PATIENCE) -> int:
        """Wait for the end and return the exit status."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise StepFailed(f"{self.name} did not end within {timeout:.0f} s") from None

    def kill(self) -> None:
        """End the program and all its children, whatever they are doing."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
