"""Things that start and stop: a contract, and the thread most of them are.

A :class:`Service` is started when it is first needed and stopped at most once; stopping one that never ran is
nothing. Every thread here belongs to the process that started it: a forked child finds it not running.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

from kombu_sns_sqs.logs import fields

logger = logging.getLogger(__name__)

#: Seconds for which it is remembered that the service did not answer.
_WORN_SECONDS: Final = 60.0


def ends_with_exit_handlers() -> bool:
    """Whether this process runs what ``atexit`` was given when it ends: children of a pool's do not."""
    modules = (sys.modules.get(f"{library}.process") for library in ("multiprocessing", "billiard"))
    return all(module is None or module.current_process().name == "MainProcess" for module in modules)


class Service(Protocol):
    """Something that runs in the background."""

    def start(self) -> None:
        """Begin, if it has not begun in this process."""

    def stop(self, timeout: float) -> None:
        """Finish what was taken on, within ``timeout`` seconds, and end."""


class Patience:
    """How long the end of a connection, or of the process, waits for the service to do something.

    Once such a wait was in vain, those that follow it are short: a worker closes several connections, one after the
    other, and then ends.

    Args:
        seconds: how long.
        worn: how long after a wait in vain.
    """

    def __init__(self, seconds: float, *, worn: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._worn = worn
        self._clock = clock
        self._worn_until = float("-inf")

    def deadline(self) -> float:
        """Until when to wait, on the monotonic clock, if that begins now."""
        now = self._clock()
        return now + (min(self._worn, self._seconds) if now < self._worn_until else self._seconds)

    def was_in_vain(self) -> None:
        """Note that the service did not answer."""
        self._worn_until = self._clock() + _WORN_SECONDS


class Housekeeper:
    """A daemon thread for work that may block and may wait: narrowing filters, reading bindings again.

    It keeps the threads that must not block, the hub's and the one that renews leases, from calling the control
    plane. Jobs run one after another; one that raises is logged and forgotten.
    """

    def __init__(self, name: str = "kombu-sns-sqs-housekeeper") -> None:
        self._name = name
        self._wakeup = threading.Condition()
        self._jobs: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._stopping = False

    def start(self) -> None:
        """Start the thread, once a process."""
        with self._wakeup:
            if self._thread is None or self._pid != os.getpid():
                thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                # While the interpreter ends none begins: one that has not cannot be waited for either.
                thread.start()
                self._thread, self._pid = thread, os.getpid()

    def call_later(self, delay: float, job: Callable[[], None]) -> None:
        """Run ``job`` in ``delay`` seconds."""
        with self._wakeup:
            if self._stopping:
                return
            heapq.heappush(self._jobs, (time.monotonic() + delay, next(self._order), job))
            self._wakeup.notify()
        self.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Drop what has not begun and wait for what has."""
        with self._wakeup:
            self._stopping = True
            self._jobs.clear()
            self._wakeup.notify()
            thread = self._thread if self._pid == os.getpid() else None
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)

    def _run(self) -> None:
        while (job := self._next()) is not None:
            try:
                job()
            except Exception:
                logger.exception("a housekeeping job failed", extra=fields("thread_failed", thread=self._name))

    def _next(self) -> Callable[[], None] | None:
        with self._wakeup:
            while not self._stopping:
                if not self._jobs:
                    self._wakeup.wait()
                    continue
                left = self._jobs[0][0] - time.monotonic()
                if left <= 0:
                    return heapq.heappop(self._jobs)[2]
                self._wakeup.wait(left)
        return None
