"""Threads that run whatever greenlets do, and how to tell that one of either has ended."""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

from kombu.utils import compat

__all__ = ("Joinable", "end_of_caller", "native_lock", "start_native_thread")


class Joinable(Protocol):
    """What is known of a thread that was started."""

    def join(self, timeout: float | None = None) -> None:
        """Wait until it has ended, or for ``timeout`` seconds."""


class _PoolThread:
    """The one thread of a pool of gevent's, whose own threads greenlets may share locks with."""

    def __init__(self, target: Callable[[], None]) -> None:
        from gevent.threadpool import ThreadPool  # noqa: PLC0415 -- only where the process runs on gevent

        self._pool = ThreadPool(1)
        self._result = self._pool.spawn(target)

    def join(self, timeout: float | None = None) -> None:
        """Wait until it has ended, or for ``timeout`` seconds, while other greenlets run."""
        self._result.wait(timeout)


def native_lock() -> AbstractContextManager[object]:
    """Make a lock of the operating system's, for moments in which no greenlet switches to another.

    gevent's own may be shared between threads, too, but a thread that finds one taken is woken by way of an event loop,
    milliseconds later.
    """
    monkey = _gevent_monkey()
    allocate = threading.Lock if monkey is None else monkey.get_original("_thread", "allocate_lock")
    lock: AbstractContextManager[object] = allocate()
    return lock


def start_native_thread(target: Callable[[], None], *, name: str) -> Joinable:
    """Start a daemon thread of the operating system's, also where gevent makes greenlets of Python's threads.

    With eventlet it is a greenlet, as its locks cannot be shared with another thread.
    """
    if _gevent_monkey() is not None:
        return _PoolThread(target)
    thread = threading.Thread(target=target, name=name, daemon=True)
    thread.start()
    return thread


def end_of_caller() -> Callable[[], bool]:
    """Give what tells whether the thread that calls this, or its greenlet, has ended."""
    if compat.detect_environment() == "default":
        thread = threading.current_thread()
        return lambda: not thread.is_alive()
    from greenlet import getcurrent  # noqa: PLC0415 -- only where the process runs on greenlets

    greenlet = weakref.ref(getcurrent())
    return lambda: (one := greenlet()) is None or one.dead


def _gevent_monkey() -> Any:
    """Give gevent's module that has patched threads; None where none has."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey if monkey is not None and monkey.is_module_patched("threading") else None
