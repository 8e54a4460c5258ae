"""One request of the data plane, before it is signed, and the values it is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kombu_sns_sqs.errors import Failure
    from kombu_sns_sqs.identity import Identity

__all__ = ("BatchResult", "Operation", "SendEntry")


class _RequiredSendEntry(TypedDict):
    id: str
    body: str


class SendEntry(_RequiredSendEntry, total=False):
    """One message of SendMessageBatch or PublishBatch: the arguments of the single call, and an ``id`` (80 characters).

    ``attributes`` are as AWS writes them: by name, a ``DataType`` and a ``StringValue`` or a ``BinaryValue`` of bytes.
    ``delay_seconds`` and ``system_attributes`` are read by SendMessageBatch only: SNS has neither.
    """

    attributes: Mapping[str, Mapping[str, Any]]
    delay_seconds: int | None
    group_id: str | None
    deduplication_id: str | None
    system_attributes: Mapping[str, Mapping[str, Any]] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult:
    """What became of each entry of a batch, by the id the caller gave it.

    ``succeeded`` maps to the message id, or to ``""`` where the action gives none (delete, change visibility).
    An id in neither mapping was not answered for: its outcome is unknown.
    """

    succeeded: Mapping[str, str]
    failed: Mapping[str, Failure]


class Operation(NamedTuple):
    """A request to SQS or SNS, complete but for its signature.

    Args:
        service: ``"sqs"`` or ``"sns"``.
        action: the API action, such as ``SendMessageBatch``.
        identity: who signs, and which region and endpoint it goes to.
        headers: all headers but those the signature adds.
        unsigned: headers that whatever is on the way may change.
        body: the bytes to post.
        parse: reads the body of a 200 answer; raises ValueError, KeyError or TypeError where it is not what AWS sends.
        repeatable: whether carrying the request out twice leaves what carrying it out once does. The engines repeat
            others as well, since delivery is at least once; who must not repeat asks an engine that does not retry.
        read_timeout: seconds the answer may take, where that is longer than the session's own; None: the session's.
        patience: seconds after which it is not begun again, though it may have failed in passing; None: no limit.
        dated: whether the reply has to say when it was given.
    """

    service: str
    action: str
    identity: Identity
    headers: tuple[tuple[str, str], ...]
    body: bytes
    parse: Callable[[bytes], Any]
    repeatable: bool
    unsigned: tuple[tuple[str, str], ...] = ()
    read_timeout: float | None = None
    patience: float | None = None
    dated: bool = False

    def __repr__(self) -> str:
        """Name it, and keep to itself what it carries."""
        return f"<Operation {self.service} {self.action} of {self.identity!r}>"
