"""Runs functions of `actors` in Python processes that share nothing with the test but the broker.

A process serves one call and ends. Two spare ones are always starting, since an interpreter that has imported kombu
takes longer to come up than most scenarios take to run.
"""

from __future__ import annotations

import collections
import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_ROOT = Path(__file__).parents[2]
_SPARES = 2


class RemoteCall:
    """A function at work in another process."""

    def __init__(self, process: subprocess.Popen[str], order: Mapping[str, Any]) -> None:
        self.pid = process.pid
        self._process = process
        if process.stdin is None:
            raise ValueError("a process without an input pipe can't be given an order")
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()

    def result(self, timeout: float = PATIENCE) -> Any:
        """What the function returned; RuntimeError with the process's last words when it failed or took too long."""
        try:
            output, errors = self._process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired as late:
            self._process.kill()
            raise RuntimeError(f"no answer after {timeout} s:\n{self._process.communicate()[1]}") from late
        if self._process.returncode != 0:
            raise RuntimeError(f"the other process failed:\n{errors}")
        return json.loads(output)

    def kill(self) -> None:
        """End the process the hard way (SIGKILL), if it still runs."""
        self._process.kill()
        with contextlib.suppress(ValueError):
            self._process.communicate()


class Processes:
    """Spare processes, waiting for an order."""

    def __init__(self) -> None:
        self._spare: collections.deque[subprocess.Popen[str]] = collections.deque()

    def call(
        self, url: str, transport_options: Mapping[str, Any], function: Callable[..., Any], *args: Any
    ) -> RemoteCall:
        """Start ``function(connection, *args)``, a function of `actors`, on a connection to `url`."""
        while len(self._spare) <= _SPARES:
            self._spare.append(_start())
        order = {"url": url, "options": dict(transport_options), "function": function.__name__, "args": args}
        return RemoteCall(self._spare.popleft(), order)

    def close(self) -> None:
        """End the spare ones."""
        for process in self._spare:
            process.kill()
            process.communicate()
        self._spare.clear()


def _start() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.conformance.remote"],
        cwd=_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def main() -> None:
    """Take one order from standard input, carry it out, and answer on standard output."""
    from tests.brokers import open_connection  # noqa: PLC0415 - wanted in the other process only
    from tests.conformance import actors  # noqa: PLC0415 - likewise

    line = sys.stdin.readline()
    if not line:
        return
    order = json.loads(line)
    with open_connection(order["url"], order["options"]) as connection:
        answer = getattr(actors, order["function"])(connection, *order["args"])
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
