"""What Celery gives only to brokers it names, given to ``sns-sqs://``: optional, the transport works without.

::

    from celery_integration import install

    app = Celery(broker="sns-sqs://")
    install(app)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from celery.worker.consumer.gossip import Gossip
from celery.worker.consumer.mingle import Mingle

from celery_integration.batching import batch_groups, publish_batch
from celery_integration.elections import hold_elections
from celery_integration.prefetching import fetch_on_demand

if TYPE_CHECKING:
    from celery import Celery

__all__ = ("install", "publish_batch")

#: ``Transport.driver_type`` of ``kombu_sns_sqs``.
_DRIVER: Final = "sns-sqs"


def install(app: Celery, *, mingle: bool = True, gossip: bool = False, batches: bool = True) -> Celery:
    """Let the workers of an app do what Celery reserves for transports it knows.

    With it ``celery worker --disable-prefetch`` (``worker_disable_prefetch``) has its effect: a message is fetched when
    a slot of the pool is free for it.

    Celery keeps the names of those transports on the classes of its bootsteps, so this holds for all apps of the
    process that use ``sns-sqs://``. Call it before a worker starts.

    Args:
        app: the app; it is returned.
        mingle: workers that start learn from the others which tasks were revoked: two messages for each running
            worker at every start. https://docs.celeryq.dev/en/stable/userguide/workers.html
        gossip: workers follow each other's events. Every worker then receives every other's heartbeat, and each is a
            message that is paid for: 1,800 an hour and pair of workers. Leave it off beyond a handful. Elections take
            two seconds, and have one winner each.
        batches: groups and the headers of chords are sent ten tasks to a request. Where one is not sent,
            ``apply_async`` raises what :func:`publish_batch` raises.

    Returns:
        The app.
    """
    for step, wanted in ((Mingle, mingle), (Gossip, gossip)):
        if wanted:
            step.compatible_transports.add(_DRIVER)
        else:
            step.compatible_transports.discard(_DRIVER)
    if batches:
        batch_groups(app)
    fetch_on_demand(app)
    if gossip:
        hold_elections(app)
    return app
