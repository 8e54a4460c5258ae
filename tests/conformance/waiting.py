"""Waiting for an event, never for a time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds after which what has not happened will not happen; only ever spent on a failure.
PATIENCE = 15.0
#: Seconds between two looks.
PAUSE = 0.02

T = TypeVar("T")


def eventually(predicate: Callable[[], T], timeout: float = PATIENCE) -> T:
    """The first true value of `predicate()`; AssertionError when `timeout` seconds bring none."""
    deadline = time.monotonic() + timeout
    while not (value := predicate()):
        assert time.monotonic() < deadline, f"still not so after {timeout} s: {value!r}"
        time.sleep(PAUSE)
    return value
