"""Plain kombu processes for the tests that need many; see ``light_process.py``."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

#: Seconds after which what has not begun will not begin.
PATIENCE = 60.0


class LightProcesses:
    """Some of them, forked off one, as ``worker`` or ``caller``; killed at the end."""

    def __init__(self, count: int, kind: str, *, folder: Path, environment: dict[str, str]) -> None:
        self._count = count
        self._log = folder / f"{kind}-{time.monotonic_ns()}.log"
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "light_process.py", str(count), kind],
                cwd=Path(__file__).parent,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        deadline = time.monotonic() + PATIENCE
        while self._log.read_text().count("ready") < self._count:
            if time.monotonic() > deadline:
                self.kill()
                raise AssertionError(self._log.read_text())
            time.sleep(0.1)
        return self

    def kill(self) -> None:
        """End all of them at once, with -9."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def __exit__(self, *_: object) -> None:
        self.kill()
