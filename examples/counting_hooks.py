"""Hooks of one's own, in plain kombu: run this file."""

from __future__ import annotations

# [readme: hooks]
import os
from collections import Counter
from typing import Any

from kombu import Connection, Queue

import kombu_sns_sqs


class Counting(kombu_sns_sqs.Hooks):
    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def on_publish(self, published: Any) -> None:
        self.counts[f"{published.outcome} {published.destination}"] += 1

    def on_receive(self, received: Any) -> None:
        self.counts[f"received {received.queue}"] += 1

    def on_settle(self, settled: Any) -> None:
        self.counts[f"{settled.how} {settled.queue}"] += 1

    def on_api_call(self, call: Any) -> None:
        if call.retries:
            print(f"{call.action} took {call.seconds:.1f} s and {call.retries} repetitions: {call.error or 'done'}")


hooks = Counting()

if __name__ == "__main__":
    url = os.environ.get("BROKER_URL", "sns-sqs://")
    with Connection(url, transport_options={"hooks": hooks}) as connection:
        queue = Queue("counted")(connection)
        queue.declare()
        connection.Producer().publish("hello", routing_key="counted")
        queue.get().ack()
    print(dict(hooks.counts))
# [end]
