"""A pool that is not Celery's: one thread, and a queue before it."""

from __future__ import annotations

import queue
import threading
from typing import Any

from celery.concurrency.base import BasePool, apply_target


class OneThread(BasePool):  # type: ignore[misc]
    """Runs tasks one after the other, beside the main loop."""

    def on_start(self) -> None:
        """Start the thread."""
        self.limit = 1
        self._jobs: queue.Queue[tuple[Any, ...] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def on_apply(self, target: Any, args: Any, kwargs: Any, callback: Any, accept_callback: Any, **_: Any) -> None:
        """Take a task."""
        self._jobs.put((target, args, kwargs, callback, accept_callback))

    def on_stop(self) -> None:
        """Do what has been taken, and end."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            apply_target(*job)
