"""The control plane: boto3's clients, with failures as values.

Few calls, none of them on the way of a message, so botocore does all of it: parameters, signing, retries, parsing.
"""

from __future__ import annotations

from email.utils import mktime_tz, parsedate_tz
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from kombu_sns_sqs.aws.reply import Reply
from kombu_sns_sqs.aws.secrecy import Secretly
from kombu_sns_sqs.errors import CredentialsRefused, Failure, exception_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kombu_sns_sqs.aws.session import Session
    from kombu_sns_sqs.aws.sessions import Sessions
    from kombu_sns_sqs.identity import Identity

__all__ = ("ControlPlane",)

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
    """Calls of one process on queues, topics and subscriptions. Safe for threads."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def session(self, identity: Identity) -> Session:
        """Give the session that signs for an identity."""
        return self._sessions.get(identity)

    def call(self, identity: Identity, service: str, method: str, **arguments: Any) -> Reply:
        """Call a method of a boto3 client; the reply's value is its answer."""
        session = self._sessions.get(identity)
        try:
            with Secretly():
                answer = getattr(session.control(service), method)(**arguments)
        except _FAILURES as exc:
            return Reply(failure=session.failure_of(exc, method))
        return Reply(value=answer, date=_date(answer))

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
            page = self.ask(identity, service, method, **arguments, **({"NextToken": token} if token else {}))
            yield from page.get(rows) or ()
            token = page.get("NextToken")
            if not token:
                return

    def account_id(self, identity: Identity) -> str | Failure:
        """The account behind an identity."""
        return self._sessions.get(identity).account_id()


def _date(answer: Any) -> float | None:
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}) if isinstance(answer, dict) else {}
    parts = parsedate_tz(headers.get("date", ""))
    return float(mktime_tz(parts)) if parts else None
