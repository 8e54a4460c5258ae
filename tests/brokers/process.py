"""A server process that listens on loopback and never outlives the test session."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_GUARD = Path(__file__).with_name("guard.py")


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listened on a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def listens(port: int) -> bool:
    """Whether something accepts connections on that port of 127.0.0.1."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


class ServerProcess:
    """One program under the guard, with a private working directory and its output in a file of it."""

    def __init__(self, *, command: Sequence[str], environment: Mapping[str, str], workdir: Path) -> None:
        """Start `command` with exactly `environment`, as far as the platform allows, in `workdir`."""
        self.workdir = workdir
        log = workdir / "output.log"
        with log.open("wb") as output:
            # Opened now, to be read even when the guard has removed it together with a program that died.
            self._log = log.open("rb")
            self._guard = subprocess.Popen(
                [sys.executable, str(_GUARD), str(workdir), *command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                cwd=workdir,
                start_new_session=True,
            )

    def wait_until(self, ready: Callable[[], bool], *, timeout: float) -> None:
        """Return once `ready()`; raise RuntimeError with the program's output if it dies or takes over `timeout` s."""
        deadline = time.monotonic() + timeout
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                output = self._output()
                self.stop()
                raise RuntimeError(f"the server did not come up in {timeout} s:\n{output}")
            time.sleep(0.05)

    def check(self) -> None:
        """Raise RuntimeError with the program's last words if it has ended."""
        if self._guard.poll() is not None:
            raise RuntimeError(f"the server has ended with {self._guard.returncode}:\n{self._output()}")

    def stop(self) -> None:
        """Kill the program and all its children, remove its directory, and return when that is done."""
        if self._guard.stdin is not None:
            self._guard.stdin.close()
        self._guard.wait(timeout=30)
        self._log.close()

    def _output(self) -> str:
        self._log.seek(0)
        return self._log.read().decode(errors="replace")[-4000:]


def private_directory(name: str) -> Path:
    """A new directory of our own; the guard removes it."""
    return Path(tempfile.mkdtemp(prefix=f"kombu-sns-sqs-{name}-"))


def find_program(name: str, *, variable: str | None = None) -> str | None:
    """The path of a program: named by an environment variable, beside this Python, or on PATH; else None."""
    if variable is not None and (named := os.environ.get(variable)):
        return named
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else shutil.which(name)


def plain_environment() -> dict[str, str]:
    """The variables a server needs, and none that would point it at an account or a configuration of the user."""
    kept = ("PATH", "LANG", "LC_ALL", "TMPDIR")
    return {name: os.environ[name] for name in kept if name in os.environ}
