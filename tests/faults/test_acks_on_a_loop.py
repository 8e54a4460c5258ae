"""Acks on an event loop: they leave with its own requests, and without it where it stands still."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from kombu import Connection, Queue

import kombu_sns_sqs
from tests.faults.conftest import PATIENCE, run_hub
from tests.faults.weather import HalfFails

if TYPE_CHECKING:
    from collections.abc import Callable

    from kombu_sns_sqs.monitoring.hooks import ApiCall
    from tests.faults.account import Account
    from tests.faults.relay import Relay

    Connect = Callable[..., Connection]

MESSAGES = 20


class Deletes(kombu_sns_sqs.Hooks):
    """Notes which threads had answers to DeleteMessageBatch."""

    def __init__(self) -> None:
        self.threads: list[str] = []

    def on_api_call(self, call: ApiCall) -> None:
        """Note it."""
        if call.action == "DeleteMessageBatch":
            self.threads.append(threading.current_thread().name)


def received(connection: Connection, *, callback: Callable[[Any], None] | None = None) -> list[Any]:
    """Receive all messages on an event loop, which has just turned."""
    queue, messages = Queue("q")(connection), []
    queue.declare()
    producer = connection.Producer()
    with producer.batch():
        for number in range(MESSAGES):
            producer.publish(number, routing_key="q")

    def on_message(message: Any) -> None:
        messages.append(message)
        if callback is not None:
            callback(message)

    connection.Consumer([queue], on_message=on_message, auto_declare=False).consume()
    run_hub(connection, lambda: len(messages) == MESSAGES)
    return messages


def ack_on_the_loop(connection: Connection, messages: list[Any]) -> None:
    """Ack them as a pool does that tells the loop of its results."""
    acked: list[Any] = []
    connection.test_hub.call_soon(lambda: acked.extend(message.ack() for message in messages))
    run_hub(connection, lambda: acked)


def elapsed(seconds: float) -> Callable[[], bool]:
    """Say whether a time is over."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


def test_full_batches_leave_in_the_loops_own_thread(
    connect: Connect, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many requests as ever, and none by another thread."""
    # Other tests may keep this one from turning its loop for a moment.
    monkeypatch.setattr("kombu_sns_sqs.receiving.receiver._LIVELY", PATIENCE)
    deletes = Deletes()
    connection = connect(hooks=deletes, ack_delay=5)
    ack_on_the_loop(connection, received(connection))
    run_hub(connection, lambda: len(deletes.threads) == MESSAGES // 10)
    connection.close()
    assert deletes.threads == [threading.current_thread().name] * 2
    assert account.messages("q") == 0


def test_acks_of_other_threads_are_not_the_loops(connect: Connect) -> None:
    """It may have nothing else to do, and they come at any moment of its turn."""
    deletes = Deletes()
    connection = connect(hooks=deletes, ack_delay=5)
    messages = received(connection)
    other = threading.Thread(target=lambda: [message.ack() for message in messages])
    other.start()
    run_hub(connection, lambda: len(deletes.threads) == MESSAGES // 10)
    other.join()
    assert threading.current_thread().name not in deletes.threads


def test_a_loop_that_has_not_turned_for_a_moment_is_given_nothing_to_send(connect: Connect, relay: Relay) -> None:
    """As at a worker's stop, when the pool's last results come: nobody turns it any more."""
    connection = connect(ack_delay=5)
    messages = received(connection)
    time.sleep(0.2)
    for message in messages:
        message.ack()
    assert relay.wait_for("DeleteMessageBatch", 2, within=PATIENCE)
    run_hub(connection, elapsed(0.5))
    assert relay.calls["DeleteMessageBatch"] == 2


def test_a_loop_that_never_turns_again_loses_no_ack(connect: Connect, relay: Relay, account: Account) -> None:
    """An exception has ended it, for instance."""
    connection = connect(ack_delay=5)
    # Turned a moment ago, and from now on not any more.
    for message in received(connection):
        message.ack()
    assert relay.wait_for("DeleteMessageBatch", 2, within=PATIENCE)
    deadline = time.monotonic() + PATIENCE
    while account.messages("q"):
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("end", ["close", "reset", "unregister"])
def test_a_loop_that_ends_loses_no_ack(connect: Connect, account: Account, end: str) -> None:
    """What it had not sent is sent before the connection is closed."""
    connection = connect(ack_delay=5)
    messages = received(connection)
    for message in messages:
        message.ack()
    if end == "reset":
        connection.test_hub.reset()
    elif end == "unregister":
        connection.transport.unregister_from_event_loop(connection.connection, connection.test_hub)
    connection.close()
    assert account.messages("q") == 0


def test_a_callback_that_takes_its_time_keeps_no_ack_waiting(connect: Connect, relay: Relay) -> None:
    """It is called by the loop, which is not there to send anything meanwhile."""
    connection, acked, sent = connect(ack_delay=5), [], []

    def acks_and_works(message: Any) -> None:
        acked.append(message.ack())
        if len(acked) == MESSAGES:
            sent.append(relay.wait_for("DeleteMessageBatch", 2, within=PATIENCE))

    received(connection, callback=acks_and_works)
    assert sent == [True]
    run_hub(connection, elapsed(0.5))
    assert relay.calls["DeleteMessageBatch"] == 2


def test_what_the_loop_is_refused_is_sent_again(connect: Connect, relay: Relay, account: Account) -> None:
    """By the thread, though the loop turns on."""
    connection = connect()
    messages = received(connection)
    relay.fault("DeleteMessageBatch", HalfFails(), times=1)
    ack_on_the_loop(connection, messages)
    run_hub(connection, lambda: account.messages("q") == 0)
