"""A Celery worker, prefork, whose main process counts its own instructions for a stretch of the tasks it receives.

Settings: ``messages``, how many tasks to count, after ``skip`` others; ``gate``; ``queue``. Its pool's processes are
forked before the count begins, so that only the main process is in it. It says ``{"messages": …}`` and ends.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from typing import Any

from celery.signals import task_received

from benchmarks.programs.app import app
from benchmarks.programs.gate import Gate
from benchmarks.worker import QUIET


class Stretch:
    """Opens the gate at one task and closes it at another."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._first: int = settings["skip"]
        self._last: int = settings["skip"] + settings["messages"]
        self._gate = Gate(settings.get("gate"))
        self._received = 0
        # What is said is for who counts; Celery's banner goes where the log goes.
        self._output = os.dup(sys.stdout.fileno())
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def note(self, **_: Any) -> None:
        """Take note of a task that was received."""
        self._received += 1
        if self._received == self._first:
            self._gate.__enter__()
        elif self._received == self._last:
            self._gate.__exit__()
            os.write(self._output, json.dumps({"messages": self._last - self._first}).encode() + b"\n")
            os._exit(0)  # The queue is nobody else's, and a stop would wait for polls in flight.


def main(settings: dict[str, Any]) -> None:
    """Work until enough has been counted."""
    stretch = Stretch(settings)
    task_received.connect(stretch.note)
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(BENCHMARK_LEDGER=os.devnull, BENCHMARK_READY=f"{folder}/ready")
        app.worker_main(["worker", "-P", "prefork", "-c", "1", "-l", "WARNING", "-n", "counted@benchmark", *QUIET])


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
