"""Opens valgrind's count of instructions for a stretch of a program that runs under it."""

from __future__ import annotations

import os
import subprocess
import time


class Gate:
    """Counts inside the block alone, where the program runs under callgrind; does nothing elsewhere.

    Args:
        tool: ``callgrind`` or None.
    """

    def __init__(self, tool: str | None) -> None:
        self._tool = tool

    def __enter__(self) -> None:
        self._switch("on")

    def __exit__(self, *_: object) -> None:
        self._switch("off")

    def _switch(self, state: str) -> None:
        if self._tool == "callgrind":
            done = subprocess.Popen(
                ["vgdb", f"--pid={os.getpid()}", "instrumentation", state],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            # valgrind looks for commands while the program runs: it must not wait in the kernel until one is obeyed.
            while done.poll() is None:
                time.sleep(0.001)
