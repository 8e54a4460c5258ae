"""How long a message is held at a time is a queue's own affair, where it wants to be asked."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest
from kombu import Connection, Queue

from tests.faults.conftest import drain_until, run_hub
from tests.faults.weather import ServerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from kombu_sns_sqs.local import LocalService
    from tests.faults.relay import Answer, Relay, Request

    Connect = Callable[..., Connection]


class Watched:
    """Lets all requests through and notes the visibility timeouts they ask for, by the end of the queue's name."""

    def __init__(self) -> None:
        self.seconds: dict[str, set[int]] = defaultdict(set)

    def apply(self, request: Request, relay: Relay) -> Answer | None:
        """Note and forward."""
        asked = json.loads(request.body)
        for row in asked.get("Entries", [asked]):
            self.seconds[asked["QueueUrl"].rpartition("-")[2]].add(row["VisibilityTimeout"])
        return relay.forward(request)


@pytest.mark.parametrize("said", ["argument", "predefined"])
def test_a_queue_has_the_lease_it_asks_for(connect: Connect, relay: Relay, said: str) -> None:
    """In what is received and in what is renewed; the other queue has the usual one."""
    before = connect()
    Queue("own")(before).declare()
    url = before.default_channel.connection.services.directory.queue("own").url
    options: dict[str, Any] = {}
    arguments = {"x-visibility-timeout": 2}
    if said == "predefined":
        options, arguments = {"predefined_queues": {"own": {"url": url, "visibility_timeout": 2}}}, {}
    connection = connect(visibility_timeout=4, **options)
    received, renewed = Watched(), Watched()
    relay.fault("ReceiveMessage", received)
    relay.fault("ChangeMessageVisibilityBatch", renewed)
    queues = [Queue("own", queue_arguments=arguments)(connection), Queue("usual")(connection)]
    messages: list[Any] = []
    for queue in queues:
        queue.declare()
        connection.Producer().publish("hello", routing_key=queue.name)
    with connection.Consumer(queues, on_message=messages.append, auto_declare=False):
        drain_until(connection, lambda: len(messages) == 2)
        drain_until(connection, lambda: renewed.seconds.keys() == {"own", "usual"})
        for message in messages:
            message.ack()
    assert received.seconds == {"own": {2}, "usual": {4}}
    assert renewed.seconds == {"own": {2}, "usual": {4}}


def test_a_get_has_the_lease_of_its_queue(connect: Connect, relay: Relay) -> None:
    """Not that of the others."""
    connection, received = connect(), Watched()
    relay.fault("ReceiveMessage", received)
    queue = Queue("own", queue_arguments={"x-visibility-timeout": 7})(connection)
    queue.declare()
    assert queue.get() is None
    assert received.seconds == {"own": {7}}


def test_acks_of_all_leases_are_carried_out_by_the_close(connect: Connect, relay: Relay) -> None:
    """Whichever thread settles them."""
    connection = connect(ack_delay=2)
    queues = [Queue("own", queue_arguments={"x-visibility-timeout": 9})(connection), Queue("usual")(connection)]
    for queue in queues:
        queue.declare()
        connection.Producer().publish("hello", routing_key=queue.name)
    messages: list[Any] = []
    with connection.Consumer(queues, on_message=messages.append, auto_declare=False):
        drain_until(connection, lambda: len(messages) == 2)
    for message in messages:
        message.ack()
    connection.release()
    assert relay.calls["DeleteMessageBatch"] == 2


def test_a_message_is_handed_over_to_a_fresh_one(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a holding queue that nobody else reads; acked, both are gone; lost, it goes back to its queue."""
    connection = connect(ack_delay=0)
    queue = Queue("slow")(connection)
    queue.declare()
    services = connection.default_channel.connection.services
    address = services.directory.queue("slow")

    def take_and_hand_over(number: int) -> Any:
        connection.Producer().publish(f"message {number}", routing_key="slow", headers={"number": number})
        message = queue.get()
        assert message is not None
        settler = services.settler._of(next(iter(connection.default_channel.qos._unsettled.values())))
        (lease,) = settler._settlements._holdings._held.values()
        services.handover.hand_over(settler, lease)
        drain_until(connection, lambda: lease.queue_url != address.url)
        services.settle(5)
        return message

    message = take_and_hand_over(1)
    assert queue.get() is None
    monkeypatch.setattr("kombu_sns_sqs.settling.handover._RESERVED_SECONDS", -5)
    assert services.handover.look(address) == 0
    message.ack()
    services.settle(5)
    assert services.settler.held == 0

    message = take_and_hand_over(2)
    message.requeue()
    services.settle(5)
    assert services.handover.look(address) == 1
    again = queue.get()
    assert again is not None
    assert (again.payload, again.headers["number"]) == ("message 2", 2)
    again.ack()
    services.settle(5)
    assert services.handover.look(address) == 0
    assert queue.get() is None


def test_what_comes_again_for_a_consumer_that_is_gone_stays_with_who_works_on_it(
    connect: Connect, relay: Relay, service: LocalService
) -> None:
    """Its lease had ended, a poll that was still open brought it back: the newer receipt is taken over."""
    connection = connect(visibility_timeout=3, wait_time_seconds=8, read_timeout=10)
    queues = [Queue(name)(connection) for name in ("gone", "other")]
    messages: list[Any] = []
    for queue in queues:
        queue.declare()
    gone, other = (connection.Consumer([queue], on_message=messages.append) for queue in queues)
    with other:
        gone.consume()
        connection.Producer().publish("hello", routing_key="gone")
        run_hub(connection, lambda: messages)
        relay.fault("ChangeMessageVisibilityBatch", ServerError())
        began = time.monotonic()
        # The next poll is a brief one; the one after it, open by then, stays so for eight seconds.
        run_hub(connection, lambda: time.monotonic() - began > 1.5)
        gone.cancel()
        run_hub(connection, lambda: time.monotonic() - began > 4.2)
        relay.clear()
        run_hub(connection, lambda: time.monotonic() - began > 8)
        left = Queue("gone")(connect(straight=service.endpoint_url))
        assert left.get() is None, "it is still being worked on"
        messages[0].ack()
    connection.close()
    assert left.queue_declare(passive=True).message_count == 0
