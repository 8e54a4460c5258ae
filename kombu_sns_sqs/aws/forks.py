"""What a forked child must let go of without touching it.

Closing an inherited TLS connection would say goodbye in the parent's name, and a lock that some other thread of the
parent held at the fork is never released in the child. So whoever owns such things is told in the child, at once.
"""

from __future__ import annotations

import contextlib
import os
import weakref
from typing import Any, Protocol

__all__ = ("leak", "tell_after_fork")


class _Forkable(Protocol):
    def abandon(self) -> None:
        """Start afresh in a forked child."""


_forkables: weakref.WeakSet[Any] = weakref.WeakSet()


def tell_after_fork(forkable: _Forkable) -> None:
    """Have ``forkable.abandon()`` called in every child forked from now on, for as long as the object lives."""
    _forkables.add(forkable)


def leak(inherited: object) -> None:
    """Keep an object from ever being finalised in this process, at its exit included."""
    with contextlib.suppress(ImportError, AttributeError):
        import ctypes  # noqa: PLC0415 -- absent from some builds of Python; only a forked child gets here

        ctypes.pythonapi.Py_IncRef(ctypes.py_object(inherited))
    _leaked.append(inherited)


_leaked: list[object] = []


def _after_fork() -> None:
    for forkable in list(_forkables):
        forkable.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
