"""What came of a request: a value or a failure, and the time by AWS's clock."""

from __future__ import annotations

import json
import re
from email.utils import mktime_tz, parsedate_tz
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from kombu_sns_sqs.aws import xml
from kombu_sns_sqs.errors import Failure, Kind, kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kombu_sns_sqs.aws.operation import Operation

__all__ = ("Reply", "bare_code", "excerpt", "parse_failure", "read_reply", "unreachable")

_OK = 200
#: Enough of an answer that is not AWS's (a proxy's page) to tell in a log line whose it is.
_EXCERPT = 200
#: What of a page is not text to be read.
_MARKUP = re.compile(r"<!--.*?-->|<(script|style)\b.*?</\1\s*>|<[^>]*>", re.DOTALL | re.IGNORECASE)
_UNANSWERED = Failure(kind=Kind.UNREACHABLE, code="NoAnswerForEntry")


class Reply(NamedTuple):
    """The outcome of one operation.

    Args:
        value: what ``operation.parse`` made of the answer; None where the request failed.
        failure: why it failed, or None.
        date: the ``Date`` header of the answer in epoch seconds: AWS's clock, not ours. None without an answer; who
            makes the operation has to ask for it.
    """

    value: Any = None
    failure: Failure | None = None
    date: float | None = None

    @property
    def ok(self) -> bool:
        """Whether AWS carried the request out."""
        return self.failure is None

    def failure_of(self, entry: str) -> Failure | None:
        """Say why one entry of a batch has failed, None where it has not; one not answered for may have been sent."""
        if self.failure is not None:
            return self.failure
        if entry in self.value.succeeded:
            return None
        failure: Failure = self.value.failed.get(entry, _UNANSWERED)
        return failure


def unreachable(operation: Operation, code: str, message: str = "") -> Reply:
    """Make the reply of a request to which no answer came."""
    return Reply(failure=Failure(kind=Kind.UNREACHABLE, code=code, message=message, action=operation.action))


def read_reply(operation: Operation, status: int, headers: Mapping[str, str], body: bytes) -> Reply:
    """Turn an HTTP answer into a reply; the names in ``headers`` are lower case."""
    date = _epoch_seconds(headers.get("date")) if operation.dated else None
    if status != _OK:
        return Reply(failure=parse_failure(operation, status, headers, body), date=date)
    try:
        return Reply(value=operation.parse(body), date=date)
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        # A 200 that AWS did not write (a captive portal, a broken proxy): the outcome is as unknown as with no answer.
        message = f"{exc}: {excerpt(body)}"
        failure = Failure(
            kind=Kind.UNREACHABLE, code="MalformedAnswer", message=message, status=status, action=operation.action
        )
        return Reply(failure=failure, date=date)


def parse_failure(operation: Operation, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """Read an error answer of either protocol.

    SQS's own code is the one in ``x-amzn-query-error``, which botocore reports too; where it is missing, that of the
    body. An answer that is in neither protocol (a load balancer's page) is named after its status.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html
    """
    read = _json_error if operation.service == "sqs" else xml.error
    try:
        code, message = read(body)
    except (ValueError, KeyError, TypeError, AttributeError):
        code, message = "", ""
    code = bare_code(headers.get("x-amzn-query-error", "") or code or headers.get("x-amzn-errortype", ""))
    if not code:
        code, message = f"HTTP{status}", excerpt(body)
    return Failure(kind=kind_of(code, status), code=code, message=message, status=status, action=operation.action)


def excerpt(body: bytes | str) -> str:
    """Give the beginning of an answer that is not AWS's as one line: of a page what can be read in it."""
    text = body if isinstance(body, str) else body[: 50 * _EXCERPT].decode("utf-8", "replace")
    words = " ".join(_MARKUP.sub(" ", text).split())
    return words if len(words) <= _EXCERPT else f"{words[:_EXCERPT]}..."


def bare_code(code: str) -> str:
    """Strip an AWS error code of shape namespace, query prefix and fault: all its spellings become one."""
    return code.rpartition("#")[2].partition(";")[0].partition(":")[0].rpartition(".")[2]


def _json_error(body: bytes) -> tuple[str, str]:
    error = json.loads(body)
    return str(error.get("__type", "")), str(error.get("message") or error.get("Message") or "")


@lru_cache(maxsize=64)  # a second has many answers
def _epoch_seconds(date: str | None) -> float | None:
    parts = parsedate_tz(date) if date else None
    try:
        return float(mktime_tz(parts)) if parts else None
    except (ValueError, OverflowError):
        return None
