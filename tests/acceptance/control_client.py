"""What callers of remote control do, in processes of their own: the app, and functions to be asked for by name."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

from app import add, app, work
from celery.bin.celery import celery
from celery.worker.control import Panel
from click.testing import CliRunner

if TYPE_CHECKING:
    from collections.abc import Callable


__all__ = (
    "BOTH",
    "CONTROLS",
    "INSPECTS",
    "add",
    "after_late_answers",
    "app",
    "ask_by_api",
    "ask_by_command_line",
    "ask_in_turn",
    "ask_one_by_all_means",
    "at_once",
    "capture_events",
    "commands",
    "nodes",
    "own_answers_after_a_fork",
    "own_results",
    "pids_of_two",
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
#: Commands that take their time in the worker: more than the default second, on a busy machine.
AT_LEISURE = {"objgraph", "pool_restart"}
#: Commands of ``control`` that may be given again and again, with their arguments.
HARMLESS: dict[str, dict[str, Any]] = {
    "add_consumer": {"queue": "celery"},
    "enable_events": {},
    "heartbeat": {},
    "rate_limit": {"task_name": "app.when", "rate_limit": "100/s"},
    "revoke": {"task_id": ["nobody", "knows"]},
    "time_limit": {"task_name": "app.when", "hard": 60, "soft": 30},
}


def commands(kind: str) -> list[str]:
    """List what Celery's registry has of a kind, ``inspect`` or ``control``."""
    return sorted(name for name, info in Panel.meta.items() if info.type == kind and info.visible)


def ask_by_api() -> dict[str, list[str]]:
    """Ask both workers by each method of ``inspect``, with its default timeout; tell who answered."""
    inspect, at_leisure = (app.control.inspect(limit=len(BOTH), **options) for options in ({}, {"timeout": 20}))
    arguments = {
        "query_task": {"ids": ["nobody"]},
        "memdump": {"samples": 2},
        "objgraph": {"type": "Request", "n": 2, "max_depth": 2},
    }
    answers = {}
    for name in INSPECTS:
        method = getattr(at_leisure if name in AT_LEISURE else inspect, name)
        given = arguments.get(name, {})
        answers[name] = sorted(method(*given.values()) if name == "query_task" else method(**given) or ())
    return answers


def ask_in_turn(calls: int) -> dict[str, int]:
    """Ask both workers by one command after the other, with nothing but defaults; tell who answered how often.

    Whoever waits for two answers need not wait for the second to end.
    """
    inspect = app.control.inspect(limit=len(BOTH))
    asked: list[Callable[[], Any]] = [getattr(inspect, name) for name in sorted({*INSPECTS} - AT_LEISURE)]
    asked[asked.index(inspect.query_task)] = partial(inspect.query_task, "nobody", "knows")
    for name, arguments in HARMLESS.items():
        asked.append(partial(app.control.broadcast, name, arguments=arguments, reply=True, limit=len(BOTH)))
    answers = (asked[number % len(asked)]() or () for number in range(calls))
    nodes_of = (answer if isinstance(answer, dict) else [node for one in answer for node in one] for answer in answers)
    return Counter(" ".join(sorted(one)) for one in nodes_of)


def ask_by_command_line(kind: str, arguments: dict[str, list[str]]) -> dict[str, Any]:
    """Run ``celery -A app KIND COMMAND`` for each command, within this process; tell exit status, and who answered."""
    answers = {}
    for name, given in arguments.items():
        patience = ["-t", "20"] if name in AT_LEISURE else []
        line = ["-A", "app", kind, *patience, "-d", ",".join(BOTH), "-j", name, *given]
        ran = CliRunner().invoke(celery, line)
        replies = json.loads(ran.stdout) if ran.exit_code == 0 else ran.output
        by_node = replies if isinstance(replies, dict) else {node: one[node] for one in replies for node in one}
        answers[name] = [ran.exit_code, by_node]
    return answers


def ask_one_by_all_means(node: str) -> dict[str, Any]:
    """Ask one worker by commands of several kinds; give what it said, and the result of a task through a new queue."""
    asked: dict[str, Any] = {"destination": [node], "reply": True, "timeout": 20}
    control, inspect = app.control, app.control.inspect(destination=[node], timeout=20)
    answers = {
        "add_consumer": control.add_consumer("extra", **asked),
        "rate_limit": control.rate_limit("app.when", "100/s", **asked),
        "enable_events": control.enable_events(**asked),
        "revoke": control.revoke("nobody", **asked),
    }
    told: dict[str, Any] = {name: one[node] for name, (one,) in answers.items()}
    told["through it"] = add.apply_async((2, 3), queue="extra").get(timeout=40)
    cancelled = control.cancel_consumer("extra", **asked)[0][node]
    limited = "app.when [rate_limit=100/s]" in inspect.registered("rate_limit")[node]
    return {**told, "cancel_consumer": cancelled, "limited": limited, "pid": inspect.stats()[node]["pid"]}


def pids_of_two() -> dict[str, int]:
    """Wait until two workers answer; give their process ids by their names without the host."""
    inspect = app.control.inspect(limit=2)
    assert until(lambda: len(inspect.ping() or ()) == 2)
    return {node.partition("@")[0]: stats["pid"] for node, stats in inspect.stats().items()}


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


def own_answers_after_a_fork() -> list[list[Any]]:
    """Ask, fork, and ask again in both processes at once; give what each was told.

    The child waits for results in a thread of its own: Celery names the queue for them after the thread, once, and a
    forked child that goes on in the same one has its parent's.
    """

    def ask(get: Callable[[], bool]) -> list[Any]:
        return [nodes(limit=2), get(), nodes(limit=2)]

    before = ask(own_results)
    read, write = os.pipe()
    if not (child := os.fork()):
        os.write(write, json.dumps(ask(lambda: at_once(own_results, 1)[0])).encode())
        sys.exit(0)
    os.close(write)
    answers = [before, ask(own_results)]
    with os.fdopen(read) as said:
        answers.append(json.load(said))
    os.waitpid(child, 0)
    return answers


def until(true: Callable[[], Any], timeout: float = 40) -> bool:
    """Wait until something is true."""
    deadline = time.monotonic() + timeout
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def after_late_answers() -> list[str]:
    """Ping both workers, without waiting, and again when both answers are there; tell who answered that.

    A poll that a call before has left open may bring an answer in no time: that one is not late.
    """
    early = app.control.ping(destination=BOTH, timeout=0) or []
    services = app.connection_for_write().default_channel._services
    sqs = services.control.session(services.options.identity).control("sqs")
    counts = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]

    def answers() -> int:
        urls = sqs.list_queues(QueueNamePrefix=f"{services.options.queue_name_prefix}kombu-tmp-named-")["QueueUrls"]
        found = [sqs.get_queue_attributes(QueueUrl=url, AttributeNames=counts)["Attributes"] for url in urls]
        return sum(int(number) for one in found for number in one.values())

    assert until(lambda: answers() >= len(BOTH) - len(early))
    return nodes(destination=BOTH, timeout=20)


def capture_events() -> dict[str, list[str]]:
    """Have a task run, and workers told to send a heartbeat; give what a receiver of events has of both."""
    results: list[str] = []
    told: set[str] = set()

    def note(event: dict[str, Any]) -> None:
        if event["type"] == "task-succeeded":
            results.append(event["result"])
        elif event["freq"] == 5:  # The others come every two seconds, and say so.
            told.add(event["hostname"])
        receiver.should_stop = bool(results) and len(told) == len(BOTH)

    with app.connection_for_read() as connection:
        receiver = app.events.Receiver(connection, {"task-succeeded": note, "worker-heartbeat": note})
        receiver.queue(connection.default_channel).declare()
        add.delay(5, 5)
        app.control.heartbeat()
        receiver.capture(limit=None, timeout=20, wakeup=False)
    return {"results": results, "heartbeats": sorted(told)}
