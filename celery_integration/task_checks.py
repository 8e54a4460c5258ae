"""Checks of what an app says about its tasks and its workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from celery_integration.app_settings import AppSettings, Finding, listed
from kombu_sns_sqs import quotas

if TYPE_CHECKING:
    from kombu_sns_sqs import QueueDeclaration

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
    if "RedrivePolicy" in app.options.queue_attributes:
        return
    sent_to = app.sent_to([task for task in app.late_tasks if not task.acks_on_failure])
    bare = {
        task: queue.name
        for task, queue in sent_to.items()
        if app.makes(queue.name) and not _buries(queue) and not app.options.retries_of(queue.name).lists(task)
    }
    if bare:
        places = listed(sorted(set(bare.values())))
        yield Finding(
            settings="task_acks_on_failure_or_timeout",
            problem=f"{listed(list(bare))} is rejected when it fails, and discarded, as {places} has no place for dead"
            " letters",
            advice="give the queue x-dead-letter-queue, or x-max-receive-count",
        )


def _buries(queue: QueueDeclaration) -> bool:
    return queue.dead_letters.exchange is not None


def _longer_than_a_lease_can_be(app: AppSettings) -> Iterator[Finding]:
    """Tasks, and waits in a worker, of more than twelve hours, where a message cannot be handed over to a fresh one."""
    long = [task for task in app.late_tasks if _over_the_limit(task.time_limit or app.conf.task_time_limit)]
    running = {task: queue.name for task, queue in app.sent_to(long).items() if not _handed_over(app, queue)}
    if running:
        places = listed(sorted(set(running.values())))
        yield Finding(
            settings="task_time_limit",
            problem=f"messages of {places} cannot be held for more than 12 hours, and"
            f" {listed(list(running))} may run for longer: it would be run again meanwhile",
            advice="give such tasks a standard queue of their own with topology='create', or a shorter time limit",
        )
    waiting = [
        name for name, seconds, queue in _waits(app) if _over_the_limit(seconds) and not _handed_over(app, queue)
    ]
    if waiting and not app.options.eta_by_sqs:
        yield Finding(
            settings="broker_transport_options['eta_by_sqs']",
            problem=f"{listed(waiting)} waits in a worker for more than 12 hours, and its message cannot be held for"
            " longer: it would come to others meanwhile",
            advice="leave eta_by_sqs at True",
        )


def _handed_over(app: AppSettings, queue: QueueDeclaration) -> bool:
    return app.makes(queue.name) and not queue.name.endswith(quotas.FIFO_SUFFIX)


def _waits(app: AppSettings) -> Iterator[tuple[str, float, QueueDeclaration]]:
    """Give the countdowns that settings know of: whose, for how many seconds, and on which queue."""
    for name, queue in app.sent_to(app.tasks).items():
        yield name, app.app.tasks[name].default_retry_delay or 0, queue
    for name, entry in _beat_entries(app):
        options = entry.get("options")
        sent_to = app.queue_of(str(entry.get("task")), options) if options else None
        if options and sent_to is not None:
            yield name, options.get("countdown") or 0, sent_to


def _beat_entries(app: AppSettings) -> list[tuple[str, Mapping[str, Any]]]:
    schedule = app.conf.beat_schedule or {}
    return [(name, entry) for name, entry in schedule.items() if isinstance(entry, Mapping)]


def _without_a_task(app: AppSettings) -> Iterator[Finding]:
    """What beat is to send, and has no name."""
    nameless = [name for name, entry in _beat_entries(app) if not entry.get("task")]
    if nameless:
        yield Finding(
            settings="beat_schedule",
            problem=f"{listed(nameless)} names no task",
            advice="give it a 'task'",
        )


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
    asking = [task.name for task in app.tasks if task.priority]
    if not app.has_levels and (asking or app.conf.task_default_priority):
        yield Finding(
            settings="task_default_priority" if app.conf.task_default_priority else "priority",
            problem=f"has no effect, since {listed(sorted(app.queues))} has no levels of priority",
            advice="set task_queue_max_priority, or x-max-priority for a queue, before the queue is first declared",
        )


TASK_CHECKS: Final = (
    _settings_for_late_acks,
    _failed_tasks_discarded,
    _longer_than_a_lease_can_be,
    _without_a_task,
    _long_lease,
    _connection_retry,
    _no_pool_of_connections,
    _priorities,
)
