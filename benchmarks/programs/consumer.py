"""Consumes with plain kombu on its event loop, as a worker's main process does, in one process without a pool.

Settings: ``queues``; ``exchange``, a fanout exchange they are bound to; ``window``, the prefetch count; ``messages``,
how many to take, or ``stamped``, how many of those that say when they were sent; ``gate`` with ``skip``, for a count of
instructions. It says ``{"ready": true}`` when it consumes, and at the end what it took: messages by queue, and of
each stamped one the queue, when it was sent and when it came (monotonic seconds, the same clock for all processes).
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from contextlib import ExitStack
from functools import partial
from typing import Any

from kombu import Connection, Consumer, Exchange, Queue
from kombu.asynchronous import Hub, set_event_loop

import kombu_sns_sqs  # noqa: F401  # makes sns-sqs:// known to plain kombu
from benchmarks.programs.gate import Gate


class Taking:
    """What has been taken so far, and whether that is enough."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._messages: int = settings.get("messages", 0)
        self._stamped: int = settings.get("stamped", 0)
        self._skip = settings.get("skip", 0)
        self._gate = Gate(settings.get("gate"))
        self._open = ExitStack()
        self.counts: Counter[str] = Counter()
        self.stamps: list[tuple[str, float, float]] = []
        self.taken = 0
        self.begun = self.cpu = 0.0

    @property
    def enough(self) -> bool:
        """Whether all that was asked for has come."""
        return self.taken >= self._messages and len(self.stamps) >= self._stamped

    def take(self, queue: str, body: Any, message: Any) -> None:
        """Take one message from a queue: note it, acknowledge it."""
        now = time.monotonic()
        if self.taken == self._skip:
            self._open.enter_context(self._gate)
            self.begun, self.cpu = time.monotonic(), time.process_time()
        self.taken += 1
        self.counts[queue] += 1
        if body.get("sent") is not None:
            self.stamps.append((queue, body["sent"], now))
        message.ack()

    def summary(self) -> dict[str, Any]:
        """What to say at the end."""
        self._open.close()
        return {
            "messages": self.taken - self._skip,
            "seconds": time.monotonic() - self.begun,
            "cpu": time.process_time() - self.cpu,
            "counts": self.counts,
            "stamps": self.stamps,
        }


def main(settings: dict[str, Any]) -> None:
    """Consume until it is enough."""
    broker = json.loads(os.environ["BENCHMARK"])
    hub = Hub()
    set_event_loop(hub)
    taking = Taking(settings)
    with Connection(broker["url"], transport_options=broker["options"]) as connection:
        connection.register_with_event_loop(hub)
        shared = connection.channel()
        exchange = settings.get("exchange")
        for name in settings["queues"]:
            queue = direct_queue(name) if exchange is None else Queue(name, Exchange(exchange, type="fanout"))
            # On Redis a channel hears a fanout exchange once, however many of its queues are bound to it.
            channel = shared if exchange is None else connection.channel()
            channel.basic_qos(0, settings.get("window", 100), False)
            # One for each queue: a message of a fanout does not say which queue it has come through.
            Consumer(channel, [queue], callbacks=[partial(taking.take, name)]).consume()
        _say({"ready": True})
        loop = hub.create_loop()
        while not taking.enough:
            next(loop)
        _say(taking.summary())


def direct_queue(name: str) -> Queue:
    """A queue as Celery declares it: bound to a direct exchange of its name."""
    return Queue(name, Exchange(name, type="direct"), routing_key=name)


def _say(words: dict[str, Any]) -> None:
    print(json.dumps(words), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
