"""Topic routing with plain kombu: run it once with ``bind``, then with ``publish``, then with ``consume``."""

from __future__ import annotations

# [readme: kombu]
import os
import sys

from kombu import Connection, Exchange, Queue

import kombu_sns_sqs  # noqa: F401  # makes sns-sqs:// known to plain kombu

news = Exchange("news", type="topic")
football = Queue("football", news, routing_key="*.sport.#")

with Connection(os.environ.get("BROKER_URL", "sns-sqs://")) as connection:
    if sys.argv[1] == "bind":
        football(connection).declare()
    elif sys.argv[1] == "publish":  # declares nothing: SNS routes
        connection.Producer().publish({"score": "2:1"}, exchange="news", routing_key="eu.sport.football")
    elif sys.argv[1] == "consume":
        with connection.Consumer([football], callbacks=[lambda body, message: (print(body), message.ack())]):
            connection.drain_events(timeout=20)
# [end]
