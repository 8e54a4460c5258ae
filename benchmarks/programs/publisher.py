"""Publishes with plain kombu what it is told to by lines on its standard input, and answers each when that is done.

A line: ``queues`` (one message to each, by the default exchange) or ``exchange`` (one message to that fanout exchange);
``times``, how often; ``declare``, whether to make the queues; ``stamped``, whether messages say when they were sent.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

from kombu import Connection, Exchange

import kombu_sns_sqs  # noqa: F401  # makes sns-sqs:// known to plain kombu
from benchmarks.programs.consumer import direct_queue


def main() -> None:
    """Do as told until there is nothing more to read."""
    broker = json.loads(os.environ["BENCHMARK"])
    with Connection(broker["url"], transport_options=broker["options"]) as connection:
        producer = connection.Producer()
        for line in sys.stdin:
            publish(producer, **json.loads(line))
            print(json.dumps({"done": True}), flush=True)


def publish(
    producer: Any,
    queues: Sequence[str] = (),
    exchange: str = "",
    times: int = 1,
    *,
    stamped: bool = False,
    declare: bool = False,
) -> None:
    """Publish to each queue, or once to the exchange."""
    target: Any = Exchange(exchange, type="fanout") if exchange else ""
    if exchange:
        # Kombu's redis routes by what this process has declared; it costs once.
        producer.maybe_declare(target)
    if declare:
        for queue in queues:
            direct_queue(queue)(producer.channel).declare()
    # What is stamped is sent at once: a batch would be timed from its first message.
    with nullcontext() if stamped else producer.batch():
        for _ in range(times):
            for queue in queues or [""]:
                body = {"queue": queue or exchange, "sent": time.monotonic() if stamped else None}
                producer.publish(body, exchange=target, routing_key=queue)


if __name__ == "__main__":
    main()
