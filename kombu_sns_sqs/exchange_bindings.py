"""Bindings between exchanges, which SNS does not have: no topic subscribes to a topic."""

from __future__ import annotations

from typing import Any, NoReturn

from kombu.transport.base import StdChannel

from kombu_sns_sqs.errors import NotSupported

__all__ = ("WithoutExchangeBindings",)


class WithoutExchangeBindings(StdChannel):
    """The part of a channel that says so."""

    def exchange_bind(self, destination: str, source: str = "", **_options: Any) -> NoReturn:
        """Refuse to bind an exchange to an exchange.

        Raises:
            NotSupported: always.
        """
        raise NotSupported(_refusal(destination, source))

    def exchange_unbind(self, destination: str, source: str = "", **_options: Any) -> NoReturn:
        """Refuse to take away what cannot be there.

        Raises:
            NotSupported: always.
        """
        raise NotSupported(_refusal(destination, source))


def _refusal(destination: str, source: str) -> str:
    return (
        f"NOT_IMPLEMENTED - exchange {destination!r} cannot be bound to exchange {source!r}: sns-sqs:// has no bindings"
        " between exchanges; bind the queues to both"
    )
