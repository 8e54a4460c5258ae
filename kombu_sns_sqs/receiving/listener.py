"""What a poller tells whoever it polls for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from kombu_sns_sqs.receiving.poller import Poller


class Listener(Protocol):
    """What a poller tells the receiver."""

    def news(self) -> None:
        """Something can be delivered, or polled, or has to be waited for."""

    def unsure(self, poller: Poller) -> None:
        """The bindings have to be read again before some messages can be judged."""
