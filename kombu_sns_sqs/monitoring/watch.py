"""What calls the hooks: only those that are there, and so that they can do no harm."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kombu_sns_sqs.logs import fields
from kombu_sns_sqs.monitoring.hooks import ApiCall, Hooks, Published, Received, Settled

if TYPE_CHECKING:
    from kombu_sns_sqs.settling.losses import LostLease

logger = logging.getLogger(__name__)

__all__ = ("Watch",)


class Watch:
    """The hooks of one set of options, ready to be called; each attribute is None where nobody listens.

    Safe for threads. An event is made here, of what the caller has at hand: without a listener nothing is made.

    Args:
        hooks: the user's, or None.
    """

    def __init__(self, hooks: Hooks | None = None) -> None:
        self._hooks = hooks
        self._lock = threading.Lock()
        self._failures: Counter[str] = Counter()
        #: Takes the fields of :class:`Published`.
        self.publish: Callable[..., None] | None = self._guarded("on_publish", Published)
        #: Takes a delivery.
        self.receive: Callable[..., None] | None = self._guarded("on_receive", Received.of)
        #: Takes a delivery, how, and the reason or the delay.
        self.settle: Callable[..., None] | None = self._guarded("on_settle", Settled.of)
        self.lease_lost: Callable[[LostLease], None] | None = self._guarded("on_lease_lost", _as_it_is)
        #: Takes a reply, and the fields of :class:`ApiCall` that it does not tell.
        self.api_call: Callable[..., None] | None = self._guarded("on_api_call", ApiCall.of)

    @property
    def failures(self) -> dict[str, int]:
        """How often each method has raised."""
        with self._lock:
            return dict(self._failures)

    def _guarded(self, name: str, make: Callable[..., Any]) -> Callable[..., None] | None:
        if self._hooks is None or getattr(type(self._hooks), name) is getattr(Hooks, name):
            return None
        hook = getattr(self._hooks, name)

        def tell(*args: Any, **kwargs: Any) -> None:
            try:
                hook(make(*args, **kwargs))
            except Exception as exc:  # noqa: BLE001  # the user's function: messages depend on who calls it
                self._failed(name, exc)

        return tell

    def _failed(self, name: str, exc: Exception) -> None:
        with self._lock:
            self._failures[name] += 1
            first = self._failures[name] == 1
        if first:
            logger.error(
                "the hook %s failed; what it raises from now on is counted, and not told again",
                name,
                exc_info=exc,
                extra=fields("hook_failed", hook=name, cause=exc),
            )


def _as_it_is(event: Any) -> Any:
    return event
