"""The way out of messages that are not due yet: how long SQS keeps them, and in which of two queues."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from kombu_sns_sqs import delay, quotas
from kombu_sns_sqs.delay import Due
from kombu_sns_sqs.messages import Outgoing
from kombu_sns_sqs.options import Options
from kombu_sns_sqs.publishing.parcel import Destination, Parcel
from kombu_sns_sqs.topology.companions import Companions
from kombu_sns_sqs.topology.entities import Queue
from kombu_sns_sqs.wire import attributes as attrs


class Postponing:
    """Addresses what is not due yet to where it waits. Safe for threads.

    Args:
        companions: where what is due in more than 15 minutes waits.
        complete: finds out what only the tags of a queue tell.
        wall: the time in epoch seconds: an ETA is a time of day, made by this very clock.
    """

    def __init__(
        self,
        *,
        companions: Companions,
        complete: Callable[[Queue], Queue],
        options: Options,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._companions = companions
        self._complete = complete
        self._options = options
        self._wall = wall

    def due(self, message: Mapping[str, Any], *, exchange: str) -> Due | None:
        """Say when a message as ``Channel.prepare_message`` made it is due; None: at once, or Celery sees to it.

        Raises:
            MessageError: it asks for a delay that is no number.
        """
        headers, properties = message.get("headers") or {}, message.get("properties") or {}
        if not delay.is_asked(headers, properties):
            return None
        seconds = delay.relative_seconds(headers, properties)
        if seconds is not None:
            # SQS alone counts the seconds of a single delay; all others are compared with other machines' clocks.
            written = bool(exchange) or seconds > quotas.MAX_DELAY_SECONDS
            return Due(at=self._wall() + seconds, eta=False, written=written)
        due = delay.due_of(headers) if self._options.eta_by_sqs else None
        return due if due is not None and due.at > self._wall() else None

    def pack(self, message: Outgoing, queue: Queue) -> Parcel:
        """Address a message to where it waits for ``message.due``.

        Raises:
            MessageTooLarge: SQS would refuse it.
            Error: the companion it needs could not be looked up or made.
        """
        assert message.due is not None  # noqa: S101  # asked by who calls
        queue = self._complete(queue)
        left = message.due.at - self._wall()
        companion = None
        # Workers on kombu's sqs know of no companions: what one of them may have to run waits in its own queue.
        if self._options.compat == "native" and (not queue.takes_delay or left > quotas.MAX_DELAY_SECONDS):
            companion = self._companions.get(queue)
        step = delay.next_step(
            left, eta=message.due.eta, takes_delay=queue.takes_delay, has_companion=companion is not None
        )
        there = Parcel.pack(
            message,
            Destination.of_queue(queue, message.priority),
            delay_seconds=step.delay_seconds or None if step is not None else None,
        )
        if step is None or not step.companion or companion is None:
            return there
        place = Destination(name=queue.name, address=companion.url, identity=companion.identity, topic=False)
        kept = attrs.keep_ordering(*there.ordering)
        return Parcel.pack(message._replace(group_id=None), place, kept, delay_seconds=step.delay_seconds)

    def forget(self, queue: Queue) -> None:
        """Look again for a companion that may be gone."""
        self._companions.forget(queue)
