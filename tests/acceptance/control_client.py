"""What callers of remote control do, in processes of their own: the app, and functions to be asked for by name."""

from __future__ import annotations

import json
import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from app import add, app, work
from celery.bin.celery import celery
from celery.worker.control import Panel
from click.testing import CliRunner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from celery.result import AsyncResult

__all__ = (
    "CONTROLS",
    "INSPECTS",
    "add",
    "app",
    "ask_by_api",
    "ask_by_command_line",
    "at_once",
    "commands",
    "consume_for_a_while",
    "limit",
    "nodes",
    "own_results",
    "resize",
    "revoke_running",
    "revoke_stamped",
    "until",
    "work",
)

BOTH = ["w1@test", "w2@test"]

#: Arguments for the command line, by command: those that answer, and those that change something. What a command says
#: that cannot be carried out here is its answer, too.
INSPECTS: dict[str, list[str]] = {
    "active": [],
    "active_queues": [],
    "clock": [],
    "conf": [],
    "memdump": ["2"],
    "memsample": [],
    "objgraph": ["Request", "2", "2"],
    "ping": [],
    "query_task": ["nobody", "knows"],
    "registered": ["rate_limit"],
    "report": [],
    "reserved": [],
    "revoked": [],
    "scheduled": [],
    "stats": [],
}
CONTROLS: dict[str, list[str]] = {
    "add_consumer": ["by-hand", "by-hand", "direct", "by-hand"],
    "autoscale": ["4", "2"],
    "cancel_consumer": ["by-hand"],
    "disable_events": [],
    "election": [],
    "enable_events": [],
    "heartbeat": [],
    "pool_grow": ["1"],
    "pool_restart": [],
    "pool_shrink": ["1"],
    "rate_limit": ["app.when", "100/s"],
    "revoke": ["nobody", "knows"],
    "revoke_by_stamped_headers": ["tenant=nobody"],
    "terminate": ["SIGTERM", "nobody"],
    "time_limit": ["app.when", "30", "60"],
}


def commands(kind: str) -> list[str]:
    """List what Celery's registry has of a kind, ``inspect`` or ``control``."""
    return sorted(name for name, info in Panel.meta.items() if info.type == kind and info.visible)


def ask_by_api() -> dict[str, list[str]]:
    """Ask both workers by each method of ``inspect``; tell who answered."""
    inspect = app.control.inspect(destination=BOTH, timeout=20)
    arguments = {
        "query_task": {"ids": ["nobody"]},
        "memdump": {"samples": 2},
        "objgraph": {"type": "Request", "n": 2, "max_depth": 2},
    }
    answers = {}
    for name in INSPECTS:
        method = getattr(inspect, name)
        given = arguments.get(name, {})
        answers[name] = sorted(method(*given.values()) if name == "query_task" else method(**given) or ())
    return answers


def ask_by_command_line(kind: str, arguments: dict[str, list[str]]) -> dict[str, Any]:
    """Run ``celery -A app KIND COMMAND`` for each command, within this process; tell exit status, and who answered."""
    answers = {}
    for name, given in arguments.items():
        line = ["-A", "app", kind, "-t", "20", "-d", ",".join(BOTH), "-j", name, *given]
        ran = CliRunner().invoke(celery, line)
        replies = json.loads(ran.stdout) if ran.exit_code == 0 else ran.output
        by_node = replies if isinstance(replies, dict) else {node: one[node] for one in replies for node in one}
        answers[name] = [ran.exit_code, by_node]
    return answers


def at_once(call: Callable[[], Any], callers: int) -> list[Any]:
    """Have several threads do the same at the same time; give what came of it."""
    answers: list[Any] = [None] * callers
    gate = threading.Barrier(callers)

    def run(number: int) -> None:
        gate.wait()
        answers[number] = call()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def nodes(**options: Any) -> list[str]:
    """Ping, and tell who answered."""
    return sorted(app.control.inspect(**options).ping() or ())


def own_results() -> bool:
    """Start tasks that nobody else starts; tell whether each has the result that is its own."""
    base = threading.get_ident() * 1000 + os.getpid()
    results = [add.delay(base, number) for number in range(30)]
    return [result.get(timeout=60) for result in results] == [base + number for number in range(30)]


def until(true: Callable[[], Any], timeout: float = 40) -> bool:
    """Wait until something is true."""
    deadline = time.monotonic() + timeout
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


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


def consume_for_a_while(queue: str) -> int:
    """Have a queue consumed from, for the time of one task."""
    asked = {"destination": BOTH, "timeout": 20, "reply": True}
    result = add.apply_async((1, 2), queue=queue)
    app.control.add_consumer(queue, **asked)
    answer = result.get(timeout=40)
    assert len(app.control.cancel_consumer(queue, **asked)) == len(BOTH)
    inspect = app.control.inspect(destination=BOTH, timeout=20)
    assert until(lambda: queue not in str([[one["name"] for one in of] for of in inspect.active_queues().values()]))
    return answer


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
