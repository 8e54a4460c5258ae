"""What the conformance suite asks of a broker."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping

#: How often a broker is started that does not come up.
_ATTEMPTS = 3


class Broker(abc.ABC):
    """A broker the suite can start, reach by URL, and stop."""

    #: What ``--broker`` and the ledger call it.
    name: ClassVar[str]
    #: Whether a strict run (``CI_STRICT=1``) fails without it.
    required: ClassVar[bool] = True
    #: Seconds after which a message that was routed anywhere has surely arrived there.
    settle_seconds: ClassVar[float] = 0.3
    #: What kombu is given as ``transport_options``.
    transport_options: ClassVar[Mapping[str, Any]] = {}

    @abc.abstractmethod
    def available(self) -> str | None:
        """None where this broker can run, else the reason why it can't."""

    def start(self) -> None:
        """Bring it up on free ports of 127.0.0.1; return when it answers. Raises RuntimeError when it does not."""
        for left in reversed(range(_ATTEMPTS)):
            try:
                self.launch()
            except RuntimeError:
                self.stop()
                if not left:
                    raise
            else:
                return

    @abc.abstractmethod
    def launch(self) -> None:
        """Try it once. Raises RuntimeError when it does not come up: somebody else has taken a port meanwhile, say."""

    @abc.abstractmethod
    def stop(self) -> None:
        """Take it down with all its processes and files. May be called twice, or without a start."""

    @abc.abstractmethod
    def check(self) -> None:
        """Raise RuntimeError with what the broker said last if it has ended on its own."""

    @abc.abstractmethod
    def url_for(self, namespace: str) -> str:
        """The broker URL for one test; where the broker has name spaces, this test's own."""
