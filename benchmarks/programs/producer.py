"""Publishes no-op tasks and says what that took: ``{"messages": …, "seconds": …, "cpu": …}``.

Settings: ``way`` (``delay``: one by one; ``batch``: inside kombu's ``Producer.batch()``; ``group``: Celery's groups of
a thousand), ``messages``, ``queue``; ``queues`` to spread them; ``gate`` for a count of instructions; ``skip``,
how many make connections and look up what has to be looked up: they are published, and not in the figures.

With ``in_turns`` it says ``{"ready": true}`` once connections are made, and publishes ``skip`` and ``messages`` when it
reads a line.
"""

from __future__ import annotations

import json
import sys
import time
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any

from benchmarks.programs.app import app, nothing
from benchmarks.programs.gate import Gate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

from celery import group

#: Published before anything is measured.
WARM_UP = 5
_GROUP = 1000


def one_by_one(queues: Iterable[str]) -> None:
    """Call ``delay()`` for each; the queue is named only where it is not the default one."""
    for queue in queues:
        if queue == app.conf.task_default_queue:
            nothing.delay()
        else:
            nothing.apply_async(queue=queue)


def in_a_batch(queues: Iterable[str]) -> None:
    """Publish all inside one ``Producer.batch()``."""
    with app.producer_or_acquire() as producer, producer.batch():
        for queue in queues:
            nothing.apply_async(queue=queue, producer=producer)


def in_groups(queues: Iterable[str]) -> None:
    """Publish groups of a thousand."""
    queues = iter(queues)
    while part := list(islice(queues, _GROUP)):
        group(nothing.s().set(queue=queue) for queue in part).apply_async()


WAYS: dict[str, Callable[[Iterable[str]], None]] = {"delay": one_by_one, "batch": in_a_batch, "group": in_groups}


def main(settings: dict[str, Any]) -> None:
    """Publish, measure, and say it."""
    publish = WAYS[settings["way"]]
    messages = settings["messages"]
    queues = cycle(settings.get("queues") or [settings["queue"]])
    if settings.get("in_turns"):
        publish(list(islice(queues, WARM_UP)))
        print(json.dumps({"ready": True}), flush=True)
        for _ in sys.stdin:
            publish(list(islice(queues, settings["skip"])))
            _measure(publish, list(islice(queues, messages)), Gate(None))
        return
    warm_up = min(settings.get("skip", WARM_UP), messages - 1)
    publish(list(islice(queues, warm_up)))
    _measure(publish, list(islice(queues, messages - warm_up)), Gate(settings.get("gate")))
    # A socket on which something lies unread, as RabbitMQ's heartbeats may, takes along what it has not sent yet.
    with app.producer_or_acquire() as producer:
        producer.connection.close()


def _measure(publish: Callable[[Iterable[str]], None], targets: list[str], gate: Gate) -> None:
    with gate:
        begun, cpu = time.monotonic(), time.process_time()
        publish(targets)
        seconds, cpu = time.monotonic() - begun, time.process_time() - cpu
    print(json.dumps({"messages": len(targets), "seconds": seconds, "cpu": cpu}), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
