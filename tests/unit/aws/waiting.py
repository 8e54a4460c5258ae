"""Driving an engine until something has come true, within bounds."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from kombu_sns_sqs.aws import operations

if TYPE_CHECKING:
    from collections.abc import Callable

    from kombu_sns_sqs.aws.client import EventClient
    from kombu_sns_sqs.aws.operation import Operation
    from kombu_sns_sqs.identity import Identity

BOUND = 15.0


def until(come_true: Callable[[], Any], turn: Callable[[], Any]) -> None:
    """Turn until ``come_true``; fail after a bound that a working engine never reaches."""
    end = monotonic() + BOUND
    while not come_true():
        assert monotonic() < end, "it never came true"
        turn()


def run_until(client: EventClient, come_true: Callable[[], Any]) -> None:
    """Run the client by itself."""
    until(come_true, lambda: client.run_once(0.5))


def send(identity: Identity, body: str = "x") -> Operation:
    """An operation that is answered at once."""
    return operations.send_message(identity=identity, queue_url="https://q", body=body, attributes={})


def poll(identity: Identity, wait_seconds: int = 20) -> Operation:
    """An operation that is answered when a message arrives."""
    return operations.receive_message(
        identity=identity, queue_url="https://q", max_messages=10, wait_seconds=wait_seconds
    )
