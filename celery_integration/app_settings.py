"""The settings of an app, in the form in which they are checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from kombu_sns_sqs import NotEquivalent, declaration_of

if TYPE_CHECKING:
    from celery import Celery, Task
    from kombu import Queue

    from kombu_sns_sqs import Options, QueueDeclaration

__all__ = ("AppSettings", "Finding", "listed")

#: How many names a finding gives.
_NAMES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Settings of an app that contradict each other, or this transport.

    Args:
        settings: their names, as in the app's configuration.
        problem: what is wrong with them.
        advice: what to set instead.
    """

    settings: str
    problem: str
    advice: str

    def __str__(self) -> str:
        """Give one line for a log."""
        return f"{self.settings}: {self.problem}; {self.advice}"


class AppSettings:
    """What checks look at: of an app, and of the queues it would consume from.

    Args:
        app: the app.
        options: those of its broker.
    """

    def __init__(self, app: Celery, options: Options) -> None:
        self.app = app
        self.conf: Any = app.conf
        self.options = options

    @cached_property
    def tasks(self) -> list[Task]:
        """The app's own tasks, without Celery's."""
        return [task for name, task in sorted(self.app.tasks.items()) if not name.startswith("celery.")]

    @cached_property
    def late_tasks(self) -> list[Task]:
        """Those whose message is acked after they have run."""
        return [task for task in self.tasks if task.acks_late]

    def sent_to(self, tasks: list[Task]) -> dict[str, QueueDeclaration]:
        """Give the queues that tasks are sent to, by the names of the tasks."""
        queues = {task.name: self.queue_of(task.name, _own_route(task)) for task in tasks}
        return {task: queue for task, queue in queues.items() if queue is not None}

    @property
    def acks_late(self) -> bool:
        """Whether any task is acked late, or would be."""
        return bool(self.conf.task_acks_late or self.late_tasks)

    @cached_property
    def queues(self) -> dict[str, Queue]:
        """The queues a worker of the app consumes from: all, or after ``-Q`` those."""
        return dict(self.app.amqp.queues.consume_from)

    @cached_property
    def refused(self) -> dict[str, str]:
        """Queues that cannot be declared, and why."""
        reasons = {name: _why_refused(queue) for name, queue in self.queues.items()}
        return {name: reason for name, reason in reasons.items() if reason is not None}

    @cached_property
    def declarations(self) -> dict[str, QueueDeclaration]:
        """The queues as they are declared, without those that cannot be."""
        return {name: declaration_of(queue) for name, queue in self.queues.items() if name not in self.refused}

    @cached_property
    def has_levels(self) -> bool:
        """Whether any queue has levels of priority, also of those that other workers consume from."""
        queues = [queue for queue in self.app.amqp.queues.values() if _why_refused(queue) is None]
        return any(declaration_of(queue).levels > 1 for queue in queues)

    def queue_of(self, task: str, options: Mapping[str, Any] | None = None) -> QueueDeclaration | None:
        """Give the queue that a task is sent to, None where it is consumed elsewhere, or its arguments decide."""
        try:
            route = self.app.amqp.router.route(dict(options or {}), task, (), {})
        except Exception:  # noqa: BLE001  # the app's own routers, which may count on arguments
            return None
        queue = route.get("queue")
        return self.declarations.get(getattr(queue, "name", queue))

    def makes(self, name: str) -> bool:
        """Whether a queue is made by the app itself where it is missing."""
        return self.options.topology == "create" and self.options.predefined_queue(name) is None


def listed(names: list[str]) -> str:
    """Write names into a sentence: the first few."""
    more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return ", ".join(repr(name) for name in names[:_NAMES]) + more


def _own_route(task: Task) -> dict[str, Any]:
    queue = getattr(task, "queue", None)
    return {} if queue is None else {"queue": queue}


def _why_refused(queue: Queue) -> str | None:
    try:
        declaration_of(queue)
    except NotEquivalent as exc:
        return str(exc)
    return None
