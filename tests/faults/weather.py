"""The faults a relay can apply to a request."""

from __future__ import annotations

import json
import re
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qsl, urlencode
from xml.sax.saxutils import escape

from tests.faults.relay import Answer, Request

if TYPE_CHECKING:
    from tests.faults.relay import Relay

_MEMBER = re.compile(r"PublishBatchRequestEntries\.member\.(\d+)\.(.+)")


class Fault(Protocol):
    """What happens to a request."""

    def apply(self, request: Request, relay: Relay) -> Answer | None:
        """Give the answer; None: cut the connection."""


@dataclass(frozen=True)
class Refused:
    """AWS answers with an error, in the protocol of the service; the request is not carried out."""

    code: str
    status: int = 400
    message: str = "the relay's doing"

    def apply(self, request: Request, relay: Relay) -> Answer | None:
        """Answer for AWS."""
        if request.service == "sqs":
            body = json.dumps({"__type": f"com.amazonaws.sqs#{self.code}", "message": self.message}).encode()
            headers = {"Content-Type": "application/x-amz-json-1.0", "x-amzn-query-error": f"{self.code};Sender"}
            return Answer(self.status, body, headers)
        error = f"<Error><Type>Sender</Type><Code>{self.code}</Code><Message>{escape(self.message)}</Message></Error>"
        document = f'<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/">{error}</ErrorResponse>'
        return Answer(self.status, document.encode(), {"Content-Type": "text/xml"})


class Throttled:
    """AWS asks for fewer requests; SQS answers 400 then, SNS 429 or 400."""

    def apply(self, request: Request, relay: Relay) -> Answer | None:
        """Answer for AWS."""
        refused = Refused("RequestThrottled", 400) if request.service == "sqs" else Refused("Throttling", 429)
        return refused.apply(request, relay)


@dataclass(frozen=True)
class ServerError:
    """A load balancer answers, in no protocol of AWS's."""

    status: int = 503

    def apply(self, request: Request, relay: Relay) -> Answer | None:
        """Answer with a page."""
        return Answer(self.status, b"<html><body>no healthy upstream</body></html>", {"Content-Type": "text/html"})


class Hangs:
    """Nothing comes back until the relay is cleared; the request is not carried out."""

    def apply(self, request: Request, relay: Relay) -> Answer | None:
        """Wait, then cut."""
        relay.released.wait(60)
        return None


class CutBefore:
    """The connection breaks before the request is carried out."""

    def apply(self, request: Request, relay: Relay) -> Answer | None:
        """Cut."""
        return None


class CutAfter:
    """The request is carried out, and its answer lost."""

    def apply(self, request: Request, relay: Relay) -> Answer | None:
        """Forward, then cut."""
        relay.forward(request)
        return None


@dataclass(frozen=True)
class Slow:
    """The request is carried out after some seconds."""

    seconds: float

    def apply(self, request: Request, relay: Relay) -> Answer | None:
        """Wait, then forward."""
        time.sleep(self.seconds)
        return relay.forward(request)


@dataclass
class DeliveredTwice:
    """What one ReceiveMessage brought, the next one brings again: for rules of an even number of times."""

    _kept: list[Answer] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def apply(self, request: Request, relay: Relay) -> Answer | None:
        """Forward once, answer twice."""
        with self._lock:
            if self._kept:
                return self._kept.pop()
        answer = relay.forward(request)
        with self._lock:
            self._kept.append(answer)
        return answer


@dataclass(frozen=True)
class HalfFails:
    """Of a batch every second entry is refused; only the others reach the service."""

    code: str = "ServiceUnavailable"
    sender_fault: bool = False

    def apply(self, request: Request, relay: Relay) -> Answer | None:
        """Take entries out on the way there, and put failures in on the way back."""
        return self._json(request, relay) if request.service == "sqs" else self._form(request, relay)

    def _json(self, request: Request, relay: Relay) -> Answer:
        asked = json.loads(request.body)
        kept, dropped = asked["Entries"][::2], asked["Entries"][1::2]
        answer = relay.forward(replace(request, body=json.dumps({**asked, "Entries": kept}).encode()))
        result: dict[str, Any] = json.loads(answer.body)
        result.setdefault("Failed", []).extend(
            {"Id": row["Id"], "Code": self.code, "SenderFault": self.sender_fault, "Message": "half"} for row in dropped
        )
        return replace(answer, body=json.dumps(result).encode())

    def _form(self, request: Request, relay: Relay) -> Answer:
        kept, dropped = [], []
        for name, value in parse_qsl(request.body.decode(), keep_blank_values=True):
            member = _MEMBER.fullmatch(name)
            if member is None or int(member[1]) % 2:
                kept.append((name if member is None else _renumbered(member), value))
            elif member[2] == "Id":
                dropped.append(value)
        answer = relay.forward(replace(request, body=urlencode(kept).encode()))
        fault = str(self.sender_fault).lower()
        rows = "".join(
            f"<member><Id>{escape(entry)}</Id><Code>{self.code}</Code><SenderFault>{fault}</SenderFault></member>"
            for entry in dropped
        )
        body = re.sub(r"<Failed\s*/>|<Failed>\s*</Failed>", "", answer.body.decode())
        return replace(answer, body=body.replace("</Successful>", f"</Successful><Failed>{rows}</Failed>").encode())


def _renumbered(member: re.Match[str]) -> str:
    return f"PublishBatchRequestEntries.member.{(int(member[1]) + 1) // 2}.{member[2]}"
