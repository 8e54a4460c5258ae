"""What Celery gives only to brokers it names, given to ``sns-sqs://``: optional, the transport works without.

::

    from celery_integration import install

    app = Celery(broker="sns-sqs://")
    install(app)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery.worker.consumer.gossip import Gossip
from celery.worker.consumer.mingle import Mingle

from celery_integration.app_settings import Finding
from celery_integration.batching import batch_groups, publish_batch
from celery_integration.checks import check, check_at_start
from celery_integration.declaring import look_before_declaring
from celery_integration.draining import give_back_at_stop
from celery_integration.driver import DRIVER
from celery_integration.elections import hold_elections
from celery_integration.health import HealthProbe, tell_health
from celery_integration.prefetching import fetch_on_demand

if TYPE_CHECKING:
    from celery import Celery

__all__ = ("Finding", "HealthProbe", "check", "install", "publish_batch")


def install(
    app: Celery,
    *,
    mingle: bool = True,
    gossip: bool = False,
    batches: bool = True,
    checks: bool = True,
    health: HealthProbe | None = None,
) -> Celery:
    """Let the workers of an app do what Celery reserves for transports it knows.

    With it ``celery worker --disable-prefetch`` (``worker_disable_prefetch``) has its effect: a message is fetched when
    a slot of the pool is free for it. And publishing takes less of the processor: kombu does not prepare to declare
    what its connection has declared.

    Celery keeps the names of those transports on the classes of its bootsteps, and kombu has one class of producers:
    this holds for all apps of the process that use ``sns-sqs://``. Call it before a worker starts; of several calls the
    last one counts.

    Args:
        app: the app; it is returned.
        mingle: workers that start learn from the others which tasks were revoked: two messages for each running
            worker at every start. https://docs.celeryq.dev/en/stable/userguide/workers.html
        gossip: workers follow each other's events. Every worker then receives every other's heartbeat, and each is a
            message that is paid for: 1,800 an hour and pair of workers. Leave it off beyond a handful. Elections take
            two seconds, and have one winner each.
        batches: groups and the headers of chords are sent ten tasks to a request. Where one is not sent,
            ``apply_async`` raises what :func:`publish_batch` raises.
        checks: a worker warns, when it starts, of settings that contradict each other: see :func:`check`.
        health: how workers tell probes whether they are alive; None: they do not.

    Returns:
        The app.
    """
    _grant(Mingle, mingle)
    _grant(Gossip, gossip)
    if gossip:
        hold_elections(app)
    batch_groups(app, batches)
    look_before_declaring()
    check_at_start(app, checks)
    tell_health(app, health)
    fetch_on_demand(app)
    give_back_at_stop(app)
    return app


def _grant(step: Any, wanted: bool) -> None:  # noqa: FBT001
    """Let this transport have one of Celery's bootsteps, or not."""
    change = step.compatible_transports.add if wanted else step.compatible_transports.discard
    change(DRIVER)
