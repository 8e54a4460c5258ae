"""Which session speaks for which identity, and when it gets new credentials."""

from __future__ import annotations

import threading
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from kombu_sns_sqs.aws.forks import tell_after_fork
from kombu_sns_sqs.aws.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kombu_sns_sqs.identity import Identity

__all__ = ("Sessions",)

#: Seconds in which one renewal answers for all requests that were refused with the same old credentials.
_ONE_RENEWAL: Final = 5.0


class Sessions:
    """A cache from identity to :class:`Session`; the arguments are those of a session. Safe for threads."""

    def __init__(
        self,
        *,
        connect_timeout: float = 5.0,
        read_timeout: float = 10.0,
        verify: bool | str = True,
        client_config: Mapping[str, Any] | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._arguments: dict[str, Any] = {
            "connect_timeout": connect_timeout,
            "read_timeout": read_timeout,
            "verify": verify,
            "client_config": client_config,
        }
        self._clock = clock
        self._sessions: dict[Identity, Session] = {}
        self._latest: tuple[Identity | None, Session | None] = (None, None)
        self._renewed: dict[Identity, float] = {}
        self.abandon()
        tell_after_fork(self)

    def get(self, identity: Identity) -> Session:
        """Give the session of an identity, made at first use.

        Raises:
            OptionsError: its profile does not exist.
        """
        # An identity has many fields to look up by, and most requests are signed by the one before.
        before, session = self._latest
        if identity is before and session is not None:
            return session
        session = self._sessions.get(identity)
        if session is None:
            with self._lock:
                if identity not in self._sessions:
                    self._sessions[identity] = Session(identity, **self._arguments)
                session = self._sessions[identity]
        self._latest = identity, session
        return session

    def refresh(self, identity: Identity) -> None:
        """Force new credentials, after AWS has called the present ones expired.

        Does nothing where that was done a moment ago: requests in flight together expire together.
        """
        with self._lock:
            now = self._clock()
            if now - self._renewed.get(identity, -_ONE_RENEWAL) < _ONE_RENEWAL:
                return
            self._renewed[identity] = now
        self.get(identity).refresh()

    def abandon(self) -> None:
        """Start afresh in a forked child: another thread of the parent may have held the lock."""
        self._lock = threading.Lock()
