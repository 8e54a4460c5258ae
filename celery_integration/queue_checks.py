"""Checks of what an app says about its queues."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from celery.worker.consumer.mingle import Mingle

from celery_integration.app_settings import AppSettings, Finding, listed
from celery_integration.driver import DRIVER
from kombu_sns_sqs import Transport, quotas

__all__ = ("QUEUE_CHECKS",)

#: A queue that keeps messages for less, in seconds, may lose one that waits in it until it is due.
_SHORT_RETENTION: Final = 3600


def _refused(app: AppSettings) -> Iterator[Finding]:
    """Arguments that a declaration would be refused for."""
    for name, reason in app.refused.items():
        yield Finding(settings="task_queues", problem=f"queue {name!r}: {reason}", advice="change the argument")


def _exchange_types(app: AppSettings) -> Iterator[Finding]:
    """Exchanges of a type there is not."""
    known = Transport.implements.exchange_type
    for name, queue in app.queues.items():
        if queue.exchange is not None and queue.exchange.name and queue.exchange.type not in known:
            yield Finding(
                settings="task_queues",
                problem=f"queue {name!r} is bound to an exchange of type {queue.exchange.type!r}",
                advice=f"use one of {', '.join(sorted(known))}",
            )


def _levels_that_are_not_made(app: AppSettings) -> Iterator[Finding]:
    """Levels of priority for queues that are taken as they are."""
    assumed = app.options.topology == "assume"
    for name, declaration in app.declarations.items():
        if declaration.levels > 1 and (assumed or app.options.predefined_queue(name) is not None):
            yield Finding(
                settings="x-max-priority",
                problem=f"has no effect on queue {name!r}, which is"
                f" {'taken as it is' if assumed else 'predefined'} and its lowest level alone",
                advice="leave it out, or have the queue made: topology='create', and not predefined",
            )


def _dead_letters_that_run_again(app: AppSettings) -> Iterator[Finding]:
    """A queue that happens to bear the name of another's dead-letter queue."""
    for name, declaration in app.declarations.items():
        dead = declaration.dead_letters.queue
        asked_for = (app.queues[name].queue_arguments or {}).get("x-dead-letter-queue")
        if dead in app.queues and dead != asked_for:
            yield Finding(
                settings="task_queues",
                problem=f"{dead!r} is where the dead letters of queue {name!r} go, and a worker that consumes from it"
                " runs them again",
                advice="name it otherwise, or give the other an x-dead-letter-queue",
            )


def _queues_that_are_one(app: AppSettings) -> Iterator[Finding]:
    """Predefined queues that are one SQS queue under several names."""
    names: dict[str, list[str]] = defaultdict(list)
    for queue in app.options.predefined_queues:
        names[queue.url].append(queue.name)
    for several in names.values():
        if len(several) > 1:
            yield Finding(
                settings="broker_transport_options['predefined_queues']",
                problem=f"{listed(several)} are one SQS queue: what is sent to one is received from the other",
                advice="give each its own URL",
            )


def _assumed_bindings(app: AppSettings) -> Iterator[Finding]:
    """What wants bindings, where none is made."""
    if app.options.topology != "assume":
        return
    setting, advice = "broker_transport_options['topology']", "use topology='create' or 'validate', or "
    if app.conf.worker_enable_remote_control:
        yield Finding(
            settings=setting,
            problem="with 'assume' nothing is bound, so that no command of remote control reaches a worker",
            advice=advice + "set worker_enable_remote_control = False",
        )
    if DRIVER in Mingle.compatible_transports:
        yield Finding(
            settings=setting,
            problem="with 'assume' no queue is made for replies, and a worker that mingles does not start without",
            advice=advice + "call install(app, mingle=False), or start workers with --without-mingle",
        )
    private = [name for name, queue in app.declarations.items() if queue.lifetime.value in ("private", "owned")]
    if private:
        yield Finding(
            settings=setting,
            problem=f"with 'assume' nothing is made or bound, and {listed(private)} is this process's own",
            advice=advice + "leave Broadcast queues and exclusive ones out",
        )


def _retention(app: AppSettings) -> Iterator[Finding]:
    """Queues that keep messages for less than these may have to wait."""
    kept = int(app.options.queue_attributes.get("MessageRetentionPeriod", quotas.DEFAULT_RETENTION_SECONDS))
    setting = "broker_transport_options['queue_attributes']"
    if kept < _SHORT_RETENTION and app.options.eta_by_sqs:
        yield Finding(
            settings=setting,
            problem=f"a queue that keeps messages for {kept} s may lose a task with a countdown or an ETA, also a"
            " retry, before it is due",
            advice=f"set MessageRetentionPeriod to {_SHORT_RETENTION} or more",
        )
    expires = app.conf.result_expires
    seconds = expires.total_seconds() if isinstance(expires, timedelta) else expires
    if str(app.conf.result_backend or "").startswith("rpc") and (not seconds or seconds > kept):
        yield Finding(
            settings="result_expires",
            problem=f"results on rpc:// are gone after {kept} s, as long as SQS keeps a message, and not after"
            f" {f'{seconds:g} s' if seconds else 'no time at all'}",
            advice=f"set it to {kept} or less, or MessageRetentionPeriod in queue_attributes to up to"
            f" {quotas.MAX_RETENTION_SECONDS}",
        )


QUEUE_CHECKS: Final = (
    _refused,
    _exchange_types,
    _levels_that_are_not_made,
    _dead_letters_that_run_again,
    _queues_that_are_one,
    _assumed_bindings,
    _retention,
)
