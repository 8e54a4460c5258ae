"""Ctrl-C, or an end from outside: raised where it arrives, and again at the next step if Python dropped it there.

What a signal handler raises is lost inside a destructor or a callback of a weak reference, and an import runs many of
those: https://docs.python.org/3/library/signal.html#handlers-and-exceptions
"""

from __future__ import annotations

import signal
from types import FrameType


class Interrupted(BaseException):
    """The demo was told to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        #: The status a shell gives a program that a signal has ended.
        self.exit_status = 128 + number


class Interruption:
    """The first signal that asked for the end, if any."""

    def __init__(self) -> None:
        self.number: int | None = None

    def listen(self) -> None:
        """Take SIGINT and SIGTERM from now on."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._note)

    def check(self) -> None:
        """Raise Interrupted if the end was asked for."""
        if self.number is not None:
            raise Interrupted(self.number)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        # What a second Ctrl-C raised would cut the tidying up short.
        if self.number is None:
            self.number = number
            self.check()
