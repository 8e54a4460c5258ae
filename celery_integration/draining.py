"""A worker that stops holds what runs, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery import bootsteps
from celery.worker.consumer.tasks import Tasks

from celery_integration.driver import is_ours
from kombu_sns_sqs import drain

if TYPE_CHECKING:
    from celery import Celery

__all__ = ("give_back_at_stop",)


def give_back_at_stop(app: Celery) -> None:
    """Have workers of an app, when they stop, give back at once what they will not run."""
    app.steps["consumer"].add(GiveBackAtStop)


class GiveBackAtStop(bootsteps.StartStopStep):
    """Gives back the tasks that Celery has dropped, while others run.

    At a warm shutdown Celery forgets what waits for a slot of the pool, for its ETA or for its rate limit, and waits
    for what runs. Without this the one would be held for as long as the other takes.
    """

    requires = (Tasks,)

    def stop(self, parent: Any) -> None:
        """Receive no more, and give back; with a connection that has broken that is done already."""
        connection = parent.connection
        if connection is None or not is_ours(connection):
            return
        if parent.blueprint.state != bootsteps.RUN:
            drain(connection)
