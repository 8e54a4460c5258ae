"""One timer on the event loop, set anew whenever something else falls due first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Tick:
    """Calls back once, at the moment it was last set to.

    Args:
        callback: what is due then.
    """

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback = callback
        self._entry: Any = None

    def set(self, hub: Any, delay: float | None) -> None:
        """Call back in ``delay`` seconds instead of whenever it was set to before; None: not at all."""
        self.cancel()
        if delay is not None:
            self._entry = hub.call_later(max(0.0, delay), self._callback)

    def cancel(self) -> None:
        """Do not call back."""
        entry, self._entry = self._entry, None
        if entry is not None:
            entry.cancel()


def shortest(*waits: float | None) -> float | None:
    """Give the shortest of some waits in seconds, None where none of them ends."""
    ending = [wait for wait in waits if wait is not None]
    return max(0.0, min(ending)) if ending else None
