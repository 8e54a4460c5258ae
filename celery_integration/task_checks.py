"""Checks of what an app says about its tasks and its workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any, Final

from celery_integration.app_settings import AppSettings, Finding, listed
from kombu_sns_sqs import quotas

__all__ = ("TASK_CHECKS",)

#: A lease of so many seconds is what other brokers on SQS need, and this one does not: it is the default of kombu's.
_LONG_LEASE: Final = 1800

#: What says something about late acks, under the names that tasks have for it.
_OF_LATE_ACKS: Final[dict[str, Callable[[Any], bool]]] = {
    "reject_on_worker_lost": lambda it: it.reject_on_worker_lost is True,
    "acks_on_failure_or_timeout": lambda it: it.acks_on_failure_or_timeout is False,
    "acks_on_failure": lambda it: it.acks_on_failure is False and it.acks_on_failure_or_timeout is not False,
    "acks_on_timeout": lambda it: it.acks_on_timeout is False and it.acks_on_failure_or_timeout is not False,
}


class _Defaults:
    """The app's settings for tasks, under the names that tasks have for them."""

    def __init__(self, conf: Any) -> None:
        self._conf = conf

    def __getattr__(self, name: str) -> Any:
        return self._conf[f"task_{name}"]


def _settings_for_late_acks(app: AppSettings) -> Iterator[Finding]:
    """What is said about acks that would have to be late, and are not."""
    for name, says in _OF_LATE_ACKS.items():
        early = [task.name for task in app.tasks if not task.acks_late and says(task)]
        if says(_Defaults(app.conf)):
            # It is for those tasks that are acked late, then, if there are any.
            if not app.acks_late:
                yield _needs_late_acks(f"task_{name}", "no task is acked late", "task_acks_late = True")
        elif early:
            yield _needs_late_acks(name, f"{listed(early)} is acked before it runs", "acks_late=True for the task")
    if app.conf.worker_cancel_long_running_tasks_on_connection_loss and not app.acks_late:
        name = "worker_cancel_long_running_tasks_on_connection_loss"
        yield _needs_late_acks(name, "no task is acked late", "task_acks_late = True")


def _needs_late_acks(settings: str, why: str, advice: str) -> Finding:
    return Finding(settings=settings, problem=f"has no effect, since {why}", advice=f"set {advice}, or leave it out")


def _failed_tasks_discarded(app: AppSettings) -> Iterator[Finding]:
    """Tasks that fail are rejected, and their queue has no place for that."""
    failing = [task.name for task in app.late_tasks if not task.acks_on_failure]
    if not failing or "RedrivePolicy" in app.options.queue_attributes:
        return
    bare = [name for name, one in app.declarations.items() if app.makes(name) and one.dead_letters.exchange is None]
    if bare:
        yield Finding(
            settings="task_acks_on_failure_or_timeout",
            problem=f"{listed(failing)} is rejected when it fails, and discarded, as {listed(bare)} has no place for"
            " dead letters",
            advice="give the queue x-dead-letter-queue, or x-max-receive-count",
        )


def _longer_than_a_lease_can_be(app: AppSettings) -> Iterator[Finding]:
    """Tasks, and waits in a worker, of more than twelve hours, where a message cannot be handed over to a fresh one."""
    places = [name for name in app.declarations if name.endswith(quotas.FIFO_SUFFIX) or not app.makes(name)]
    if not places:
        return
    where = f"messages of {listed(places)} cannot be held for more than 12 hours"
    long = [task.name for task in app.late_tasks if _over_the_limit(task.time_limit or app.conf.task_time_limit)]
    if long:
        yield Finding(
            settings="task_time_limit",
            problem=f"{where}, and {listed(long)} may run for longer: it would be run again meanwhile",
            advice="give such tasks a standard queue of their own with topology='create', or a shorter time limit",
        )
    waiting = [name for name, seconds in _waits(app) if _over_the_limit(seconds)]
    if waiting and not app.options.eta_by_sqs:
        yield Finding(
            settings="broker_transport_options['eta_by_sqs']",
            problem=f"{where}, and {listed(waiting)} waits for longer in a worker: it would come to others meanwhile",
            advice="leave eta_by_sqs at True",
        )


def _waits(app: AppSettings) -> Iterator[tuple[str, float]]:
    """Give the countdowns that settings know of, in seconds."""
    for task in app.tasks:
        yield task.name, task.default_retry_delay or 0
    for name, entry in (app.conf.beat_schedule or {}).items():
        if isinstance(entry, Mapping):
            yield name, (entry.get("options") or {}).get("countdown") or 0


def _over_the_limit(seconds: float | timedelta | None) -> bool:
    if isinstance(seconds, timedelta):
        seconds = seconds.total_seconds()
    return seconds is not None and seconds > quotas.MAX_VISIBILITY_SECONDS


def _long_lease(app: AppSettings) -> Iterator[Finding]:
    """A visibility timeout made to be longer than tasks, as other SQS brokers need it."""
    seconds = app.options.visibility_timeout
    if seconds >= _LONG_LEASE:
        yield Finding(
            settings="broker_transport_options['visibility_timeout']",
            problem=f"what a killed worker held stays away for {seconds} s, and tasks do not need that: a message is"
            " leased for as long as its task runs or waits, whatever task_time_limit or an ETA say",
            advice="leave it at 60",
        )


def _connection_retry(app: AppSettings) -> Iterator[Finding]:
    """A worker that is meant to end when its broker does not answer."""
    if not app.conf.broker_connection_retry:
        yield Finding(
            settings="broker_connection_retry",
            problem="False does not end a worker whose broker has gone away: a poll that fails is repeated for ever",
            advice="set broker_connection_retry_on_startup = False for the start; for later have a probe look at the"
            " health of install(), and restart the worker",
        )


def _no_pool_of_connections(app: AppSettings) -> Iterator[Finding]:
    """Producers that declare anew with every message."""
    if not app.conf.broker_pool_limit:
        yield Finding(
            settings="broker_pool_limit",
            problem=f"with {app.conf.broker_pool_limit!r} every message has a connection of its own, on which its queue"
            " is declared again: five requests instead of one",
            advice="leave it at 10, or set it to the number of threads that publish",
        )


def _priorities(app: AppSettings) -> Iterator[Finding]:
    """Priorities for queues that have no levels."""
    levels = max((declaration.levels for declaration in app.declarations.values()), default=1)
    asking = [task.name for task in app.tasks if task.priority]
    if levels == 1 and (asking or app.conf.task_default_priority):
        yield Finding(
            settings="task_default_priority" if app.conf.task_default_priority else "priority",
            problem=f"has no effect, since {listed(sorted(app.queues))} has no levels of priority",
            advice="set task_queue_max_priority, or x-max-priority for a queue, before the queue is first declared",
        )


TASK_CHECKS: Final = (
    _settings_for_late_acks,
    _failed_tasks_discarded,
    _longer_than_a_lease_can_be,
    _long_lease,
    _connection_retry,
    _no_pool_of_connections,
    _priorities,
)
