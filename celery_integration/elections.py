"""Elections on a broker that keeps no order.

Each worker that holds an election calls it out, acknowledges what the others call out, and decides when it has as many
acknowledgements as there are other workers, by the calls it has heard until then. RabbitMQ delivers the calls, which
all are sent at about the same time, before the acknowledgements, which answer them. SQS may not, and a worker that
decides by its own call alone wins beside another one. So acknowledgements wait until every call should have been heard.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from celery import bootsteps
from celery.worker.consumer.gossip import Gossip

from celery_integration.driver import is_ours

if TYPE_CHECKING:
    from celery import Celery

__all__ = ("hold_elections",)

#: Seconds for which acknowledgements wait: what a call may be late by, from worker to worker, or be heard out of order.
_PATIENCE: Final = 2.0


def hold_elections(app: Celery) -> None:
    """Let the elections of an app's workers have one winner each."""
    app.steps["consumer"].add(PatientElections)


class PatientElections(bootsteps.StartStopStep):
    """Has gossip take its time to acknowledge a call."""

    requires = (Gossip,)

    def include_if(self, parent: Any) -> bool:
        """Whether there is gossip."""
        return bool(parent.gossip.enabled)

    def start(self, parent: Any) -> None:
        """Put the wait before what gossip does with a call."""
        if is_ours(parent.connection):
            parent.gossip.dispatcher = _Patient(parent.gossip.dispatcher, parent.timer)


class _Patient:
    """A dispatcher of events that sends acknowledgements later than the rest."""

    def __init__(self, dispatcher: Any, timer: Any) -> None:
        self._dispatcher = dispatcher
        self._timer = timer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dispatcher, name)

    def send(self, type: str, **fields: Any) -> Any:  # noqa: A002  # Celery's own word
        """Send an event."""
        if type == "worker-elect-ack":
            return self._timer.call_after(_PATIENCE, self._dispatcher.send, (type,), fields)
        return self._dispatcher.send(type, **fields)
