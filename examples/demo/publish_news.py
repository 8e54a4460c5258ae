"""The third process: publishes to an exchange it has never declared, knowing only its name."""

from __future__ import annotations

import sys

from kombu import Connection

import kombu_sns_sqs  # noqa: F401  # makes the scheme known to plain kombu

with Connection("sns-sqs://") as connection:
    producer = connection.Producer()
    for routing_key in sys.argv[2:]:
        producer.publish({"key": routing_key}, exchange=sys.argv[1], routing_key=routing_key)
