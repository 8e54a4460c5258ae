"""No answer from the network kills or silences a consumer, and none costs a message."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from kombu import Connection, Exchange, Queue

import kombu_sns_sqs
from kombu_sns_sqs import errors
from tests.faults.conftest import PATIENCE, drain_until, run_hub
from tests.faults.weather import CutAfter, CutBefore, DeliveredTwice, HalfFails, Hangs, Refused, ServerError, Throttled

if TYPE_CHECKING:
    from collections.abc import Callable

    from kombu_sns_sqs.local import LocalService
    from tests.faults.relay import Relay

    Connect = Callable[..., Connection]

WEATHER = {
    "503": ServerError(503),
    "throttled": Throttled(),
    "denied": Refused("AccessDenied", 403),
    "expired": Refused("ExpiredToken", 403),
    "queue does not exist": Refused("QueueDoesNotExist", 400),
    "cut": CutBefore(),
    "answer lost": CutAfter(),
    "hangs": Hangs(),
}


@pytest.mark.parametrize("driver", ["drain", "hub"])
@pytest.mark.parametrize("weather", list(WEATHER))
def test_a_consumer_outlives_every_answer(
    connect: Connect, relay: Relay, caplog: pytest.LogCaptureFixture, weather: str, driver: str
) -> None:
    """It says so once, tries again, and says when all is well."""
    connection, received = connect(wait_time_seconds=0 if weather == "hangs" else 1, visibility_timeout=2), []
    queue = Queue("q")(connection)
    queue.declare()
    run = drain_until if driver == "drain" else run_hub
    relay.fault("ReceiveMessage", WEATHER[weather], times=3)
    with connection.Consumer([queue], on_message=lambda message: (received.append(message.payload), message.ack())):
        run(connection, lambda: "cannot receive" in caplog.text, timeout=20)
        relay.clear()
        connection.clone().Producer().publish("after", routing_key="q")
        run(connection, lambda: received, timeout=30)
    assert received == ["after"]
    assert caplog.text.count("cannot receive from queue 'q'") <= 2


def test_acks_are_deleted_in_batches(connect: Connect, relay: Relay) -> None:
    """Twenty acks, two requests."""
    connection, messages = connect(ack_delay=0.5), []
    queue = Queue("q")(connection)
    queue.declare()
    for number in range(20):
        connection.Producer().publish(number, routing_key="q")
    with connection.Consumer([queue], on_message=messages.append):
        drain_until(connection, lambda: len(messages) == 20)
        for message in messages:
            message.ack()
        assert relay.wait_for("DeleteMessageBatch", 2)
    connection.release()
    assert relay.calls["DeleteMessageBatch"] == 2
    assert relay.calls["DeleteMessage"] == 0


def test_a_get_from_a_queue_of_its_own_waits_for_no_ack(connect: Connect, relay: Relay) -> None:
    """Celery looks for a result on the event loop, for each revoked task; what others share is settled first."""
    connection = connect(ack_delay=5)
    shared = connection.SimpleQueue("q")
    shared.put("x")
    shared.get(timeout=10).ack()
    own = Queue("ed1ee7ca-3a3a-4c8b-8b51-2ff4a0a9e0c6", auto_delete=True)(connection.default_channel)
    own.declare()
    assert own.get() is None
    assert relay.calls["DeleteMessageBatch"] == 0
    assert shared.queue.get() is None
    assert relay.answered["DeleteMessageBatch"] == 1


def test_a_close_carries_out_the_acks_that_wait(connect: Connect, relay: Relay, service: LocalService) -> None:
    """However long they might have waited."""
    connection = connect(ack_delay=5)
    queue = connection.SimpleQueue("q")
    queue.put("x")
    queue.get(timeout=10).ack()
    connection.release()
    assert relay.answered["DeleteMessageBatch"] == 1
    assert Queue("q")(connect(straight=service.endpoint_url)).queue_declare(passive=True).message_count == 0


def test_a_half_failed_batch_of_acks_is_completed(connect: Connect, relay: Relay) -> None:
    """The entries that failed are sent again, alone; nothing comes back."""
    connection = connect(visibility_timeout=3)
    queue = connection.SimpleQueue("q")
    for number in range(6):
        queue.put(number)
    relay.fault("DeleteMessageBatch", HalfFails(), times=1)
    for message in [queue.get(timeout=10) for _ in range(6)]:
        message.ack()
    assert relay.wait_for("DeleteMessageBatch", 4)
    with pytest.raises(queue.Empty):
        queue.get(timeout=4)


def test_a_held_message_stays_ours_beyond_its_lease(connect: Connect, relay: Relay, service: LocalService) -> None:
    """Six seconds in hand under leases of two; a request renews all that are held."""
    connection, other = connect(visibility_timeout=2), connect(straight=service.endpoint_url, visibility_timeout=2)
    queue = connection.SimpleQueue("q")
    for number in range(3):
        queue.put(number)
    held = [queue.get(timeout=10) for _ in range(3)]
    elsewhere = other.SimpleQueue("q")
    with pytest.raises(elsewhere.Empty):
        elsewhere.get(timeout=6)
    assert 4 <= relay.calls["ChangeMessageVisibilityBatch"] <= 9
    for message in held:
        message.ack()


def test_a_lost_lease_is_said_once_and_its_ack_does_no_harm(
    connect: Connect, relay: Relay, caplog: pytest.LogCaptureFixture
) -> None:
    """The renewal is refused; the message may run elsewhere."""
    connection = connect(visibility_timeout=2)
    queue = connection.SimpleQueue("q")
    queue.put("x")
    relay.fault("ChangeMessageVisibilityBatch", Refused("ReceiptHandleIsInvalid", 404), times=1)
    message = queue.get(timeout=10)
    deadline = time.monotonic() + PATIENCE
    while "lost the lease" not in caplog.text:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    message.ack()
    queue.put("y")
    assert queue.get(timeout=10).payload == "y"
    assert caplog.text.count("lost the lease") == 1


def test_a_message_that_arrives_twice_is_delivered_once(connect: Connect, relay: Relay) -> None:
    """Standard queues do that now and then."""
    connection = connect()
    queue = connection.SimpleQueue("q")
    queue.put("x")
    relay.fault("ReceiveMessage", DeliveredTwice(), times=2)
    message = queue.get(timeout=10)
    with pytest.raises(queue.Empty):
        queue.get(timeout=3)
    message.ack()


def test_a_publish_whose_answer_was_lost_is_delivered_once(connect: Connect, relay: Relay) -> None:
    """The request is repeated, SQS has two messages, and one process runs one of them."""
    connection = connect()
    queue = connection.SimpleQueue("q")
    relay.fault("SendMessage", CutAfter(), times=1)
    connection.Producer().publish("x", routing_key="q")
    assert relay.answered["SendMessage"] == 2
    queue.get(timeout=10).ack()
    with pytest.raises(queue.Empty):
        queue.get(timeout=3)


def test_a_message_sent_after_a_close_is_not_taken_by_a_poll_left_open(connect: Connect, service: LocalService) -> None:
    """It goes to whoever consumes then, and not after a lease."""
    first = connect(wait_time_seconds=3, straight=service.endpoint_url)
    queue = first.SimpleQueue("q")
    with pytest.raises(queue.Empty):
        queue.get(timeout=2.5)
    first.release()
    second = connect(straight=service.endpoint_url, visibility_timeout=30)
    second.Producer().publish("x", routing_key="q")
    began = time.monotonic()
    assert second.SimpleQueue("q").get(timeout=20).payload == "x"
    assert time.monotonic() - began < 10


def test_a_forked_child_settles_nothing_of_its_parents(connect: Connect, relay: Relay) -> None:
    """Neither by acking, nor by collecting, nor by ending."""
    connection = connect()
    queue = connection.SimpleQueue("q")
    queue.put("x")
    message = queue.get(timeout=10)
    calls = sum(relay.calls.values())
    child = os.fork()
    if child == 0:
        status = 1
        try:
            message.ack()
            connection.collect()
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert sum(relay.calls.values()) - calls <= relay.calls["ChangeMessageVisibilityBatch"] + 1
    assert relay.calls["DeleteMessageBatch"] == 0
    message.ack()
    assert relay.wait_for("DeleteMessageBatch", 1)


def test_what_is_in_nobodys_hands_after_a_connection_error_is_given_back(
    connect: Connect, service: LocalService
) -> None:
    """Celery drops what its timer kept, at that moment or later, and lets go on what runs: that can still be acked."""
    connection, other = connect(visibility_timeout=60), connect(straight=service.endpoint_url)
    queue, messages = Queue("q")(connection), []
    queue.declare()
    for number in range(4):
        connection.Producer().publish(number, routing_key="q")
    with connection.Consumer([queue], on_message=messages.append):
        drain_until(connection, lambda: len(messages) == 4)
    acked, runs, dropped, *_ = sorted(messages, key=lambda message: message.payload)
    acked.ack()
    del messages[:], _
    connection.collect()
    elsewhere = other.SimpleQueue("q")
    assert elsewhere.get(timeout=5).payload == 3
    with pytest.raises(elsewhere.Empty):
        elsewhere.get(timeout=1)
    del dropped
    assert elsewhere.get(timeout=5).payload == 2
    runs.ack()
    del acked, runs
    with pytest.raises(elsewhere.Empty):
        elsewhere.get(timeout=1)
    connection.release()


def test_a_poll_left_from_a_lost_connection_keeps_nothing_from_the_next_one(connect: Connect, relay: Relay) -> None:
    """A command of remote control, sent to a worker that has just connected anew, when it had no place for tasks."""
    connection, received = connect(wait_time_seconds=6, visibility_timeout=60), []
    queue = Queue("own", Exchange("commands", "fanout"), exclusive=True)

    def consumer() -> Any:
        return connection.Consumer([queue], on_message=received.append, no_ack=True)

    with consumer():
        run_hub(connection, lambda: relay.calls["ReceiveMessage"])
        connection.collect()
    connection.ensure_connection(max_retries=1)
    connection.register_with_event_loop(connection.test_hub)
    with consumer():
        run_hub(connection, lambda: relay.calls["ReceiveMessage"] > 1)
        connect(wait_time_seconds=6, visibility_timeout=60).Producer().publish("x", exchange="commands")
        run_hub(connection, lambda: received)


def test_a_close_after_a_connection_error_gives_nothing_back_that_is_in_hand(
    connect: Connect, service: LocalService
) -> None:
    """Celery lets go of the connection, and then closes it: what runs is acked after that, and is not for others."""
    connection, messages = connect(visibility_timeout=60), []
    queue = Queue("q")(connection)
    queue.declare()
    connection.Producer().publish("x", routing_key="q")
    with connection.Consumer([queue], on_message=messages.append):
        drain_until(connection, lambda: messages)
        connection.collect()
        connection.close()
    elsewhere = connect(straight=service.endpoint_url).SimpleQueue("q")
    with pytest.raises(elsewhere.Empty):
        elsewhere.get(timeout=1)
    messages[0].ack()
    kombu_sns_sqs.shutdown()
    with pytest.raises(elsewhere.Empty):
        connect(straight=service.endpoint_url).SimpleQueue("q").get(timeout=1)


@pytest.mark.parametrize("down", [CutBefore(), Hangs()], ids=["cut", "hangs"])
def test_a_close_with_the_network_down_takes_bounded_time(connect: Connect, relay: Relay, down: Any) -> None:
    """With a message acked, one in hand, a poll in flight and a queue of its own to delete."""
    connection, messages = connect(shutdown_timeout=1, visibility_timeout=30, ack_delay=5), []
    queues = [Queue("q")(connection), Queue("own", exclusive=True)(connection)]
    for queue in queues:
        queue.declare()
    for number in range(2):
        connection.Producer().publish(number, routing_key="q")
    consumer = connection.Consumer(queues, on_message=messages.append)
    consumer.consume()
    drain_until(connection, lambda: len(messages) == 2)
    messages[0].ack()
    for action in [*relay.calls, "DeleteMessageBatch", "ChangeMessageVisibilityBatch", "DeleteQueue", "ListQueueTags"]:
        relay.fault(action, down)
    began = time.monotonic()
    connection.release()
    assert time.monotonic() - began < 10


def test_a_service_that_does_not_answer_is_asked_once_at_the_end(
    connect: Connect, relay: Relay, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    """By default an attempt takes up to ten seconds; the rest is left, and named in the log."""
    first, second = (connect(shutdown_timeout=2, read_timeout=1) for _ in range(2))
    for number, connection in enumerate((first, second)):
        Queue(f"own{number}", Exchange("e", type="fanout"), exclusive=True)(connection).declare()
    second.Producer().publish(0, exchange="e", delivery_mode="transient")
    for action in ("Publish", "Unsubscribe", "DeleteQueue", "ListQueueTags", "GetQueueUrl"):
        relay.fault(action, Hangs())
    relay.calls.clear()
    with pytest.raises(errors.Unreachable):
        second.Producer().publish(0, exchange="e", delivery_mode="transient")
    assert relay.calls == {"Publish": 1}, "an event is worth one attempt, if that takes its time"
    first.release()
    second.release()
    kombu_sns_sqs.shutdown()
    assert relay.calls == {"Publish": 1, "Unsubscribe": 1}
    lines = [record.getMessage() for record in caplog.records if f"/{prefix}" in record.getMessage()]
    assert [line.partition(" ")[0] for line in lines] == ["1", "1", "2"]
    assert "own0" in lines[0]
    assert "own1" in lines[1]
    assert all(name in lines[2] for name in ("own0", "own1"))


def test_deletions_that_fail_in_passing_are_repeated_at_the_end(connect: Connect, relay: Relay) -> None:
    """A thousand workers that stop together are throttled."""
    connection = connect()
    Queue("own", Exchange("e", type="fanout"), exclusive=True)(connection).declare()
    relay.fault("Unsubscribe", Throttled(), times=2)
    relay.fault("DeleteQueue", CutBefore(), times=2)
    connection.release()
    assert relay.answered["Unsubscribe"] == relay.answered["DeleteQueue"] == 1


def test_a_process_ends_after_its_polls(connect: Connect, relay: Relay) -> None:
    """Though they are longer than a stop takes otherwise: SQS does not notice that a client has gone."""
    connection = connect(wait_time_seconds=3, shutdown_timeout=0.2)
    queue = Queue("q")(connection)
    queue.declare()
    connection.Consumer([queue]).consume()
    run_hub(connection, lambda: relay.calls["ReceiveMessage"])
    connection.release()
    kombu_sns_sqs.shutdown()
    assert relay.answered["ReceiveMessage"] == relay.calls["ReceiveMessage"]


#: Ends with 3, and with a poll open, where its child, which has ended before in the same way, has given back nothing.
LEAVES = """
import os, sys
from queue import Empty
from kombu import Connection
import kombu_sns_sqs

options = {"region": "us-east-1", "visibility_timeout": 60}
message = Connection(sys.argv[1], transport_options=options).SimpleQueue("q").get(timeout=10)
child = os.fork()
if child:
    assert os.waitpid(child, 0)[1] == 0
    try:
        options["visibility_timeout"] = 59
        Connection(sys.argv[1], transport_options=options).SimpleQueue("q").get(timeout=1.5)
    except Empty:
        sys.exit(3)
"""


def test_a_process_that_ends_without_a_word_gives_back_what_it_held(
    connect: Connect, service: LocalService, prefix: str
) -> None:
    """At once, as with a broker that sees its connection end; a child forked off it, which ends first, does not."""
    queue = connect(straight=service.endpoint_url).SimpleQueue("q")
    queue.put("x")
    url = f"sns-sqs://test:test@{service.endpoint_url.removeprefix('http://')}/{prefix}"
    done = subprocess.run([sys.executable, "-c", LEAVES, url], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 3, done.stderr
    assert queue.get(timeout=5).payload == "x"


def test_a_callback_that_raises_leaves_the_rest_for_the_next_turn(connect: Connect) -> None:
    """As the one that shuts a worker down does."""
    connection, received = connect(), []

    def on_message(message: Any) -> None:
        received.append(message.payload)
        message.ack()
        if len(received) == 1:
            raise KeyboardInterrupt

    queue = Queue("q")(connection)
    queue.declare()
    for number in range(3):
        connection.Producer().publish(number, routing_key="q")
    with connection.Consumer([queue], on_message=on_message):
        with pytest.raises(KeyboardInterrupt):
            run_hub(connection, lambda: len(received) == 3)
        run_hub(connection, lambda: len(received) == 3)
    assert sorted(received) == [0, 1, 2]


def test_no_queue_starves_when_one_slot_is_shared_by_twenty(connect: Connect, service: LocalService) -> None:
    """A window of one, twenty queues, a message in each."""
    connection, received = connect(straight=service.endpoint_url), []
    queues = [Queue(f"q{number}")(connection) for number in range(20)]
    for queue in queues:
        queue.declare()
        connection.Producer().publish(queue.name, routing_key=queue.name)
    in_hand: list[Any] = []
    most = 0

    def on_message(message: Any) -> None:
        nonlocal most
        in_hand.append(message)
        most = max(most, len(in_hand))
        received.append(message.payload)

    channel = connection.channel()
    channel.basic_qos(prefetch_count=1)
    with connection.Consumer(queues, channel=channel, on_message=on_message):
        deadline = time.monotonic() + 30
        while len(received) < 20:
            assert time.monotonic() < deadline, received
            try:
                connection.drain_events(timeout=0.5)
            except TimeoutError:
                continue
            in_hand.pop().ack()
    assert most == 1
    assert sorted(received) == sorted(queue.name for queue in queues)


def test_what_cannot_be_judged_is_delivered_in_the_end(
    connect: Connect, relay: Relay, service: LocalService, caplog: pytest.LogCaptureFixture
) -> None:
    """A binding made elsewhere, and no permission to read it: rather a message too many than one that never comes."""
    connection, received = connect(bindings_max_age=0.2), []
    exchange = Exchange("e", "direct")
    queue = Queue("q", exchange=exchange, routing_key="known")(connection)
    queue.declare()
    elsewhere = connect(straight=service.endpoint_url, ack_delay=1)
    with connection.Consumer([queue], on_message=lambda message: (received.append(message.payload), message.ack())):
        drain_until(connection, lambda: relay.calls["ReceiveMessage"])
        Queue("q", exchange=exchange, routing_key="new")(elsewhere).declare()
        relay.fault("ListQueueTags", Refused("AccessDenied", 403))
        elsewhere.Producer().publish("hello", exchange="e", routing_key="new")
        drain_until(connection, lambda: received)
        assert connection.default_channel.qos.window.buffered == 0
    assert received == ["hello"]
    assert "might exclude are delivered" in caplog.text


def test_a_poll_that_an_ended_thread_has_left_open_takes_nothing_from_the_next_one(connect: Connect) -> None:
    """Celery names the queue of a thread's results by the thread's number, which the next thread may get."""
    name = f"results-{uuid4()}"
    got: list[Any] = []

    def consume() -> Connection:
        connection = connect(wait_time_seconds=20)
        queue = Queue(name, exchange="", routing_key=name, auto_delete=True, durable=False)
        connection.Consumer([queue], no_ack=True, callbacks=[lambda body, _: got.append(body)]).consume()
        return connection

    def leave_a_poll_open() -> None:
        with pytest.raises(TimeoutError):
            consume().drain_events(timeout=0.05)

    def receive() -> None:
        connection, producer = consume(), connect().Producer()
        for number in range(12):
            producer.publish(number, routing_key=name)
        drain_until(connection, lambda: len(got) == 12)

    for work in (leave_a_poll_open, receive):
        with ThreadPoolExecutor(1) as thread:
            thread.submit(work).result()
    assert sorted(got) == list(range(12))
