"""What callers of remote control change, in processes of their own: functions to be asked for by name."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from app import add, app, work
from control_client import BOTH, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery.result import AsyncResult

__all__ = (
    "consume_for_a_while",
    "limit",
    "limit_by_pattern",
    "resize",
    "revoke_running",
    "revoke_stamped",
    "revoke_waiting",
)


@contextmanager
def _running(mark: str, **options: Any) -> Iterator[AsyncResult]:
    result = work.apply_async((mark, 60), **options)
    inspect = app.control.inspect(destination=BOTH, timeout=20)
    assert until(lambda: mark in str(inspect.active()))
    yield result


def resize(size: int) -> bool:
    """Give both pools so many processes, more or fewer than they have."""
    inspect = app.control.inspect(destination=BOTH, timeout=20)

    def sizes() -> set[int]:
        return {len(stats["pool"]["processes"]) for stats in inspect.stats().values()}

    (now,) = sizes()
    change = app.control.pool_grow if size > now else app.control.pool_shrink
    change(abs(size - now))
    return until(lambda: sizes() == {size})


def limit(task: str) -> list[list[str]]:
    """Limit a task in rate and time; tell what both workers say of it then."""
    asked = {"destination": BOTH, "timeout": 20, "reply": True}
    app.control.rate_limit(task, "77/s", **asked)
    app.control.time_limit(task, soft=30.0, hard=60.0, **asked)
    inspect = app.control.inspect(destination=BOTH, timeout=20)
    return list(inspect.registered("rate_limit", "soft_time_limit", "time_limit").values())


def limit_by_pattern(pattern: str, task: str) -> dict[str, bool]:
    """Limit the rate of a task where a pattern matches; tell where it is limited then."""
    arguments = {"task_name": task, "rate_limit": "66/s"}
    asked = {"arguments": arguments, "pattern": pattern, "matcher": "glob", "reply": True, "limit": 1}
    answers = app.control.broadcast("rate_limit", timeout=600, **asked)
    assert len(answers) == 1, answers
    tasks = app.control.inspect(destination=BOTH, timeout=20).registered("rate_limit")
    return {node: f"{task} [rate_limit=66/s]" in known for node, known in sorted(tasks.items())}


def consume_for_a_while(queue: str) -> list[int]:
    """Have a queue consumed from for the time of one task, and two tasks run after: there, and through another queue.

    Gives the results of those that have one.
    """
    asked = {"destination": BOTH, "timeout": 20, "reply": True}
    result = add.apply_async((1, 2), queue=queue)
    app.control.add_consumer(queue, **asked)
    answers = [result.get(timeout=40)]
    assert len(app.control.cancel_consumer(queue, **asked)) == len(BOTH)
    inspect = app.control.inspect(destination=BOTH, timeout=20)
    assert until(lambda: queue not in str([[one["name"] for one in of] for of in inspect.active_queues().values()]))
    add.apply_async((1, 3), queue=queue, ignore_result=True)
    return [*answers, add.delay(2, 3).get(timeout=40)]


def revoke_running(mark: str) -> str:
    """Terminate a task that runs; tell what became of it."""
    with _running(mark) as result:
        app.control.terminate(result.id, signal="SIGKILL")
        return type(result.get(timeout=40, propagate=False)).__name__


def revoke_stamped(mark: str) -> list[str]:
    """Terminate a task by its stamp, and revoke one that comes after it; tell what became of them."""
    stamp = {"stamped_headers": ["tenant"], "tenant": mark}
    with _running(mark, **stamp) as result:
        app.control.revoke_by_stamped_headers({"tenant": [mark]}, terminate=True, signal="SIGKILL")
        first = type(result.get(timeout=40, propagate=False)).__name__
    second = add.apply_async((1, 2), **stamp).get(timeout=40, propagate=False)
    return [first, type(second).__name__]


def revoke_waiting(marks: list[str]) -> list[str]:
    """Revoke tasks, all by one command, while they wait for their countdown; tell what became of them."""
    results = [work.apply_async((mark, 0), countdown=3) for mark in marks]
    app.control.revoke([result.id for result in results], reply=True, limit=len(BOTH), timeout=20)
    return [type(result.get(timeout=40, propagate=False)).__name__ for result in results]
