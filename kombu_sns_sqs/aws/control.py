"""The control plane: boto3's clients, with failures as values.

Few calls, none of them on the way of a message, so botocore does all of it: parameters, signing, retries, parsing.
"""

from __future__ import annotations

import random
import threading
import time
from contextlib import contextmanager
from email.utils import mktime_tz, parsedate_tz
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from kombu_sns_sqs.aws.reply import Reply
from kombu_sns_sqs.aws.retrying import Backoff
from kombu_sns_sqs.aws.secrecy import Secretly
from kombu_sns_sqs.errors import CredentialsRefused, Failure, Kind, exception_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kombu_sns_sqs.aws.session import Session
    from kombu_sns_sqs.aws.sessions import Sessions
    from kombu_sns_sqs.identity import Identity

__all__ = ("ControlPlane",)

_AGAIN: Final = Backoff()
#: What botocore calls a service that does not answer: to ask it again takes as long again.
_SILENCE: Final = frozenset({"ConnectTimeoutError", "ReadTimeoutError"})
#: What botocore raises when a call fails; the last two where the answer is a page of a server that is not AWS's.
_FAILURES: Final = (
    BotoCoreError,
    ClientError,
    CredentialsRefused,
    OSError,
    RuntimeError,
    ResponseParserError,
    UnicodeDecodeError,
)


class ControlPlane:
    """Calls of one process on queues, topics and subscriptions. Safe for threads.

    Args:
        sessions: who signs.
        tell: takes each reply, and ``service``, ``action``, ``seconds`` and ``retries`` of the call; must not raise.
    """

    def __init__(self, sessions: Sessions, tell: Callable[..., None] | None = None) -> None:
        self._sessions = sessions
        self._tell = tell
        self._ends = threading.local()

    def session(self, identity: Identity) -> Session:
        """Give the session that signs for an identity."""
        return self._sessions.get(identity)

    @contextmanager
    def until(self, deadline: float) -> Iterator[None]:
        """Be quick with what this thread calls: nothing begins after ``deadline`` on the monotonic clock.

        An attempt is given up after three seconds, and not repeated then; what fails sooner is.
        """
        self._ends.at = deadline
        try:
            yield
        finally:
            self._ends.at = None

    def call(self, identity: Identity, service: str, method: str, **arguments: Any) -> Reply:
        """Call a method of a boto3 client; the reply's value is its answer."""
        deadline = getattr(self._ends, "at", None)
        if deadline is None:
            return self._call(identity, service, method, arguments)
        for attempt in range(1, _AGAIN.attempts + 1):
            if time.monotonic() >= deadline:
                break
            reply = self._call(identity, service, method, arguments, briefly=True)
            failure = reply.failure
            if failure is None or not failure.kind.passing or failure.code in _SILENCE or attempt == _AGAIN.attempts:
                return reply
            time.sleep(min(_AGAIN.delay(attempt, random.random), max(0.0, deadline - time.monotonic())))
        # Not unreachable: it was not carried out, and says nothing of the service.
        return Reply(failure=Failure(kind=Kind.THROTTLED, code="NoTimeLeft", message="no time left", action=method))

    def _call(
        self, identity: Identity, service: str, method: str, arguments: dict[str, Any], *, briefly: bool = False
    ) -> Reply:
        session = self._sessions.get(identity)
        began = time.monotonic()
        try:
            with Secretly():
                answer = getattr(session.control(service, briefly=briefly), method)(**arguments)
        except _FAILURES as exc:
            answer = getattr(exc, "response", None)
            reply = Reply(failure=session.failure_of(exc, method))
        else:
            reply = Reply(value=answer, date=_date(answer))
        if self._tell is not None:
            seconds, action = time.monotonic() - began, method.title().replace("_", "")
            self._tell(reply, service=service, action=action, seconds=seconds, retries=_retries(answer))
        return reply

    def ask(self, identity: Identity, service: str, method: str, **arguments: Any) -> Any:
        """Call a method whose failure is the caller's to hear.

        Raises:
            Error: what the failure means, see :mod:`kombu_sns_sqs.errors`.
        """
        reply = self.call(identity, service, method, **arguments)
        if reply.failure is not None:
            raise exception_for(reply.failure)
        return reply.value

    def pages(self, identity: Identity, service: str, method: str, rows: str, **arguments: Any) -> Iterator[Any]:
        """Go through the rows of all pages of an answer.

        Raises:
            Error: as :meth:`ask`.
        """
        token = None
        while True:
            found, token = self.page(identity, service, method, rows, token, **arguments)
            yield from found
            if token is None:
                return

    def page(
        self, identity: Identity, service: str, method: str, rows: str, token: str | None, **arguments: Any
    ) -> tuple[list[Any], str | None]:
        """Give the rows of one page of an answer, and the token of the next; None: there is none.

        Raises:
            Error: as :meth:`ask`.
        """
        answer = self.ask(identity, service, method, **arguments, **({"NextToken": token} if token else {}))
        return list(answer.get(rows) or ()), answer.get("NextToken") or None

    def account_id(self, identity: Identity) -> str | Failure:
        """The account behind an identity."""
        return self._sessions.get(identity).account_id()


def _retries(answer: Any) -> int:
    """Say how often botocore has repeated a request; without an answer it does not tell."""
    return int(_metadata(answer).get("RetryAttempts", 0))


def _metadata(answer: Any) -> dict[str, Any]:
    return answer.get("ResponseMetadata") or {} if isinstance(answer, dict) else {}


def _date(answer: Any) -> float | None:
    parts = parsedate_tz(_metadata(answer).get("HTTPHeaders", {}).get("date", ""))
    return float(mktime_tz(parts)) if parts else None
