"""What became of the messages of a batch: sent, refused, or unknown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from kombu.exceptions import BatchPublishError

from kombu_sns_sqs.errors import Error, Failure

__all__ = ("Publication", "PublishBatchFailed")


class Publication(NamedTuple):
    """One message that was given to a batch.

    Args:
        message: as ``Channel.prepare_message`` made it: ``body``, ``headers``, ``properties``.
        failure: why it was not sent, or is not known to have been; None where it was.
    """

    message: Mapping[str, Any]
    exchange: str
    routing_key: str
    failure: Failure | None = None

    @property
    def id(self) -> str | None:
        """The id its sender gave it; of a Celery task, the task's."""
        properties = self.message.get("properties") or {}
        return properties.get("message_id") or properties.get("correlation_id")


class PublishBatchFailed(Error, BatchPublishError):
    """Not all messages of a batch were sent.

    Those in ``unknown`` may have arrived: to send them again may run a task twice, not to may lose it. Whatever was
    given to the batch and is in none of the lists was sent before: ``sent`` goes back to the last flush, or the last
    ``max_size`` messages; or it is an event, which the batch does not send.

    Args:
        sent: AWS has them.
        refused: AWS has said that it does not take them; each names why.
        unknown: no answer came, although they were sent several times.
    """

    def __init__(
        self, *, sent: Sequence[Publication], refused: Sequence[Publication], unknown: Sequence[Publication]
    ) -> None:
        self.sent = list(sent)
        self.refused = list(refused)
        self.unknown = list(unknown)
        failed = next(iter([*self.refused, *self.unknown]), None)
        super().__init__(
            f"of {len(sent) + len(refused) + len(unknown)} messages {len(sent)} were sent, {len(refused)} were refused,"
            f" and of {len(unknown)} it is not known; the first: {failed.failure if failed else None}"
        )
