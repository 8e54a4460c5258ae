"""All that receive in this process, and the polls of theirs whose answers nobody looks at.

Celery's ``rpc://`` has a connection for each thread, drops it with the thread, and names the queue of its results after
the thread, whose number the next one may get. A poll that was left open takes the next one's results along: so
whoever begins to consume has such polls seen to their end, and what they bring given back.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Protocol

from kombu_sns_sqs.aws.client import EventClient
from kombu_sns_sqs.receiving.last_polls import MARGIN

__all__ = ("Receivers", "Receiving")


class Receiving(Protocol):
    """What receives for one connection."""

    #: Whether who waited for its messages last has ended.
    stranded: Callable[[], bool]
    #: The thread that has turned it last.
    driver: threading.Thread | None
    #: Whether it is in the application.
    handing_over: bool

    def carrier(self) -> EventClient | None:
        """Give its client, if an event loop drives it, and will again soon; or None."""

    def let_go(self) -> None:
        """Have the polls in flight seen to their end, and begin with others when it is driven again."""

    def leave(self) -> None:
        """Poll no more, as the process ends."""


class Receivers:
    """Those of one process. Safe for threads."""

    def __init__(self) -> None:
        #: For as long as somebody else keeps them.
        self._all: weakref.WeakSet[Receiving] = weakref.WeakSet()
        #: Those left to themselves with polls in flight, and until when these are: if such a one were forgotten, nobody
        #: would hear of the answers.
        self._polling: dict[Receiving, float] = {}
        #: Those that an event loop has driven; replaced, not changed, as any thread may look.
        self._on_loops: tuple[weakref.ref[Receiving], ...] = ()
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[Receiving]:
        return iter(list(self._all))

    def add(self, receiver: Receiving) -> None:
        """Take note of one."""
        self._all.add(receiver)

    def on_loop(self, receiver: Receiving) -> None:
        """Note that an event loop drives one."""
        with self._lock:
            others = (one for one in self._on_loops if one() not in (None, receiver))
            self._on_loops = (*others, weakref.ref(receiver))

    def carrier(self) -> EventClient | None:
        """Give the client of an event loop that the calling thread turns, unless it is in the application; or None."""
        here = threading.current_thread()
        turned = [one for one in (ref() for ref in self._on_loops) if one is not None and one.driver is here]
        if any(one.handing_over for one in turned):
            return None
        return next((client for one in turned if (client := one.carrier()) is not None), None)

    def left(self, receiver: Receiving, *, polling_until: float | None) -> None:
        """Note that nobody waits for one's messages now, and when the polls it has open end; None: it has none."""
        if polling_until is None:
            self._polling.pop(receiver, None)
        else:
            self._polling[receiver] = polling_until

    def see_off_stranded(self) -> None:
        """Have polls seen to their end that nobody will look after."""
        for receiver, until in list(self._polling.items()):
            # Those that are overdue have ended, whether the answers were looked at or not.
            if receiver.stranded() or until + MARGIN < time.monotonic():
                self._polling.pop(receiver, None)
                if receiver.stranded():
                    receiver.let_go()
