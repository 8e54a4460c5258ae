"""The engine that has its answer before it returns: for publishing, declaring, and waiting outside a loop."""

from __future__ import annotations

import math
import random
import time
from typing import TYPE_CHECKING, Final

from kombu.utils import compat
from vine import promise

from kombu_sns_sqs.aws.exchange import HAS_CURL, CurlExchange, Exchange, UrllibExchange
from kombu_sns_sqs.aws.failures import signing_failure
from kombu_sns_sqs.aws.reply import Reply, unreachable
from kombu_sns_sqs.aws.retrying import Backoff
from kombu_sns_sqs.errors import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from kombu_sns_sqs.aws.operation import Operation
    from kombu_sns_sqs.aws.sessions import Sessions

__all__ = ("BlockingClient", "usual_exchange")

_DEFAULT: Final = Backoff()


def usual_exchange() -> Exchange:
    """Choose libcurl, but urllib3 where greenlets must be able to run while one of them waits, or without pycurl."""
    detect: Callable[[], str] = compat.detect_environment
    return CurlExchange() if HAS_CURL and detect() == "default" else UrllibExchange()


class BlockingClient:
    """Carries an operation out in the calling thread, repeating it while its failure may pass. Safe for threads.

    Args:
        sessions: who signs.
        retry: how often and how patiently; ``Backoff(attempts=1)`` does not repeat.
        exchange: what posts a request; None: :func:`usual_exchange`.
        tell: takes each reply, and ``service``, ``action``, ``seconds`` and ``retries`` of the call; must not raise.
        sleep: waits for a number of seconds.
        chance: a number of [0, 1).
    """

    def __init__(
        self,
        sessions: Sessions,
        retry: Backoff = _DEFAULT,
        *,
        exchange: Exchange | None = None,
        tell: Callable[..., None] | None = None,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._sessions = sessions
        self._retry = retry
        self._exchange = exchange or usual_exchange()
        self._tell = tell
        self._sleep = sleep
        self._chance = chance
        self._closed = False

    def call(self, operation: Operation) -> promise:
        """Carry an operation out; the promise is fulfilled when this returns."""
        fulfilled = promise()
        fulfilled(self.perform(operation))
        return fulfilled

    def perform(self, operation: Operation) -> Reply:
        """Carry an operation out and give its reply."""
        if self._tell is None:
            return self._perform(operation)[0]
        began = time.monotonic()
        reply, retries = self._perform(operation)
        seconds = time.monotonic() - began
        self._tell(reply, service=operation.service, action=operation.action, seconds=seconds, retries=retries)
        return reply

    def _perform(self, operation: Operation) -> tuple[Reply, int]:
        """Give the reply, and how often the request was repeated."""
        until = math.inf if operation.patience is None else time.monotonic() + operation.patience
        retries = 0
        while (
            (reply := self._attempt(operation)).failure is not None
            and reply.failure.kind.passing
            and retries + 1 < self._retry.attempts
            and not self._closed
            and time.monotonic() < until
        ):
            retries += 1
            self._sleep(self._retry.delay(retries, self._chance))
        return reply, retries

    def close(self) -> None:
        """Close idle connections; calls in other threads end with what they are doing, and repeat nothing."""
        self._closed = True
        self._exchange.close()

    def _attempt(self, operation: Operation) -> Reply:
        if self._closed:
            return unreachable(operation, "Closed", "the client was closed")
        try:
            session = self._sessions.get(operation.identity)
            signed = session.sign(operation)
        except Exception as exc:  # noqa: BLE001 -- whoever waits for the answer has to get one
            return Reply(failure=signing_failure(exc, operation.action))
        reply = self._exchange.perform(operation, session, signed)
        if reply.failure is not None and reply.failure.kind is Kind.EXPIRED:
            self._sessions.refresh(operation.identity)
        return reply
