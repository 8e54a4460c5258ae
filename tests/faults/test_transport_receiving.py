"""The prefetch window, the hub and the end of a consumer, seen from the calls they cost and the messages they keep."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from kombu import Connection, Queue
from kombu.asynchronous import Hub, set_event_loop

from tests.faults.conftest import PATIENCE, drain_until
from tests.faults.weather import CutAfter, ServerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kombu_sns_sqs.local import LocalService
    from tests.faults.relay import Relay

    Connect = Callable[..., Connection]


class Loop:
    """An event loop with nothing on it but the connections a test puts there."""

    def __init__(self) -> None:
        self.hub = Hub()
        set_event_loop(self.hub)

    def attach(self, connection: Connection) -> None:
        """Let it drive a connection."""
        connection.register_with_event_loop(self.hub)

    def until(self, done: Callable[[], object], timeout: float = PATIENCE) -> None:
        """Turn until something holds."""
        deadline = time.monotonic() + timeout
        while not done():
            assert time.monotonic() < deadline, "it never came true"
            wake_up = self.hub.call_later(0.2, lambda: None)
            try:
                self.hub.run_once()
            finally:
                wake_up.cancel()

    def turn_undisturbed(self, done: Callable[[], object], turns: int) -> bool:
        """Turn a number of times with no timer of the test's: whatever ends a turn is the transport's doing."""
        for _ in range(turns):
            if done():
                return True
            self.hub.run_once()
        return bool(done())


@pytest.fixture
def loop() -> Iterator[Loop]:
    """An event loop, closed afterwards."""
    loop = Loop()
    yield loop
    with suppress(Exception):
        loop.hub.close()
    set_event_loop(None)


@pytest.fixture
def publish(connect: Connect, service: LocalService) -> Callable[..., None]:
    """Publish to a queue around the relay."""
    producer = connect(straight=service.endpoint_url, ack_delay=0.06).Producer()

    def publish(queue: str, *bodies: Any) -> None:
        for body in bodies:
            producer.publish(body, routing_key=queue)

    return publish


def declared(connection: Connection, *names: str) -> list[Queue]:
    """Declare queues."""
    queues = [Queue(name)(connection) for name in names]
    for queue in queues:
        queue.declare()
    return queues


def test_a_full_window_polls_nothing_and_an_ack_wakes_the_next_poll(
    connect: Connect, relay: Relay, loop: Loop, publish: Callable[..., None]
) -> None:
    """With a window of one, a second message is asked for when the first is acked, by whatever thread, at once."""
    connection, messages = connect(), []
    queues = declared(connection, "q")
    channel = connection.channel()
    channel.basic_qos(prefetch_count=1)
    publish("q", 1, 2)
    with connection.Consumer(queues, channel=channel, on_message=messages.append):
        loop.attach(connection)
        loop.until(lambda: messages)
        polls = relay.calls["ReceiveMessage"]
        loop.turn_undisturbed(lambda: False, turns=2)
        assert (len(messages), relay.calls["ReceiveMessage"]) == (1, polls)
        messages[0].ack()
        loop.until(lambda: len(messages) == 2)


@pytest.mark.parametrize("in_callback", [True, False], ids=["in the callback", "between events"])
def test_an_ack_that_a_hub_was_asked_to_make_soon_wakes_the_next_poll(
    connect: Connect, loop: Loop, publish: Callable[..., None], monkeypatch: pytest.MonkeyPatch, *, in_callback: bool
) -> None:
    """Celery acks late tasks so, and the hub does what was asked for too late in its turn after the next sleep."""
    connection, messages, asked, slept = connect(), [], 0, 0
    channel = connection.channel()
    channel.basic_qos(prefetch_count=1)
    queues = declared(connection, "q")
    publish("q", *range(4))
    poll = loop.hub.poller.poll

    def ack_soon(message: Any) -> None:
        nonlocal asked
        loop.hub.call_soon(message.ack)
        asked += 1

    def poll_and_count(timeout: float) -> Any:
        nonlocal slept
        events = poll(timeout)
        # With a message in hand that nobody has acked there is nothing to wake up for.
        slept += timeout > 0.5 and not events and asked == len(messages) > 0
        return events

    def on_message(message: Any) -> None:
        messages.append(message)
        if in_callback:
            ack_soon(message)

    monkeypatch.setattr(loop.hub.poller, "poll", poll_and_count)
    # Far off, so that the hub, which else looks up every second, sleeps until something wakes it.
    loop.hub.call_later(60, lambda: None)
    with connection.Consumer(queues, channel=channel, on_message=on_message):
        loop.attach(connection)
        while len(messages) < 4:
            had = len(messages)
            assert loop.turn_undisturbed(lambda had=had: len(messages) > had, turns=50)
            if not in_callback:
                ack_soon(messages[-1])
    # Thrice if acks woke nobody. Once a busy machine may do it, where an answer takes so long.
    assert slept <= 1


def test_an_ack_of_another_thread_interrupts_the_hubs_wait(
    connect: Connect, relay: Relay, loop: Loop, publish: Callable[..., None]
) -> None:
    """A pool of threads acks while the hub waits for sockets: the next poll waits for neither timer nor timeout."""
    connection, messages = connect(), []
    queues = declared(connection, "q")
    channel = connection.channel()
    channel.basic_qos(prefetch_count=1)
    publish("q", 1)
    with connection.Consumer(queues, channel=channel, on_message=messages.append):
        loop.attach(connection)
        loop.until(lambda: messages)
        polls = relay.calls["ReceiveMessage"]
        # Far off, so that the hub, which else looks up every second, sleeps until something wakes it.
        loop.hub.call_later(10, lambda: None)
        timer = threading.Timer(0.3, messages[0].ack)
        timer.start()
        began = time.monotonic()
        while relay.calls["ReceiveMessage"] == polls:
            loop.hub.run_once()
        assert time.monotonic() - began < 5
        timer.join()


def test_prefetch_does_not_hold_up_consumers_that_need_no_ack(connect: Connect, publish: Callable[..., None]) -> None:
    """AMQP's window counts messages that will be acked; a no-ack consumer of the same channel is not limited."""
    connection, held, taken = connect(), [], []
    acked, free = declared(connection, "acked", "free")
    channel = connection.channel()
    channel.basic_qos(prefetch_count=1)
    publish("acked", "a")
    with connection.Consumer([acked], channel=channel, on_message=held.append):
        drain_until(connection, lambda: held)
        with connection.Consumer([free], channel=channel, on_message=taken.append, no_ack=True):
            publish("free", 1, 2, 3)
            drain_until(connection, lambda: len(taken) == 3, timeout=6)


def test_what_came_over_the_window_is_given_back(
    connect: Connect, service: LocalService, publish: Callable[..., None]
) -> None:
    """Two queues share one slot, both polls bring a message: the one that finds no slot goes back for others."""
    connection, held, got = connect(overflow_seconds=0.3, visibility_timeout=60), [], []
    queues = declared(connection, "q1", "q2")
    channel = connection.channel()
    channel.basic_qos(prefetch_count=1)
    other = connect(straight=service.endpoint_url)
    publish("q1", "first")
    with connection.Consumer(queues, channel=channel, on_message=held.append):
        drain_until(connection, lambda: held)
        held.pop().ack()
        with pytest.raises(TimeoutError):
            connection.drain_events(timeout=0.2)
        publish("q1", "q1")
        publish("q2", "q2")
        drain_until(connection, lambda: held)
        missing = {"q1": "q2", "q2": "q1"}[held[0].payload]

        def look() -> bool:
            with suppress(TimeoutError):
                connection.drain_events(timeout=0.2)
            message = Queue(missing)(other).get(no_ack=True)
            got.extend([message.payload] if message is not None else [])
            return bool(got)

        deadline = time.monotonic() + PATIENCE
        while not look():
            assert time.monotonic() < deadline
    assert got == [missing]
    assert len(held) == 1


def test_a_hub_that_is_reset_can_be_used_again(connect: Connect, loop: Loop, publish: Callable[..., None]) -> None:
    """Celery resets it before it reconnects; what is attached afterwards works, with the same consumers."""
    connection, received = connect(), []
    queues = declared(connection, "q")

    def on_message(message: Any) -> None:
        received.append(message.payload)
        message.ack()

    with connection.Consumer(queues, on_message=on_message):
        loop.attach(connection)
        publish("q", "before")
        loop.until(lambda: received == ["before"])
        loop.hub.reset()
        loop.attach(connection)
        publish("q", "after")
        loop.until(lambda: received == ["before", "after"])


def test_the_same_consumer_goes_from_a_hub_to_drain_events_and_back(
    connect: Connect, loop: Loop, publish: Callable[..., None]
) -> None:
    """Celery waits for replies inside a callback of the hub."""
    connection, received = connect(), []
    queues = declared(connection, "q")

    def on_message(message: Any) -> None:
        message.ack()
        received.append(message.payload)
        if message.payload == "outer":
            publish("q", "inner")
            drain_until(connection, lambda: "inner" in received)

    with connection.Consumer(queues, on_message=on_message):
        loop.attach(connection)
        publish("q", "outer")
        loop.until(lambda: "inner" in received)
        publish("q", "last")
        loop.until(lambda: "last" in received)
    assert received == ["outer", "inner", "last"]


@pytest.mark.parametrize("driver", ["drain", "hub"])
def test_a_callback_without_ack_that_raises_has_had_its_message(
    connect: Connect, relay: Relay, loop: Loop, publish: Callable[..., None], driver: str
) -> None:
    """It was delivered, and so it is deleted; the next one is delivered too."""
    connection, received = connect(visibility_timeout=2), []
    queues = declared(connection, "q")

    def on_message(message: Any) -> None:
        received.append(message.payload)
        if message.payload == "bad":
            raise ZeroDivisionError

    with connection.Consumer(queues, on_message=on_message, no_ack=True):
        if driver == "hub":
            loop.attach(connection)
        run = loop.until if driver == "hub" else (lambda done: drain_until(connection, done))
        publish("q", "bad")
        with pytest.raises(ZeroDivisionError):
            run(lambda: False)
        publish("q", "good")
        run(lambda: "good" in received)
        assert relay.wait_for("DeleteMessageBatch", 1)
    connection.release()
    assert received == ["bad", "good"]


def test_a_consumer_that_left_takes_nothing_with_it(
    connect: Connect, service: LocalService, publish: Callable[..., None]
) -> None:
    """Its last poll is still open, and nobody turns its connection any more: a message sent now reaches others."""
    left = connect(straight=service.endpoint_url, visibility_timeout=60, wait_time_seconds=3)
    queues = declared(left, "q")
    publish("q", "first")
    with left.Consumer(queues, on_message=lambda message: message.ack()):
        left.drain_events(timeout=PATIENCE)
        with pytest.raises(TimeoutError):
            left.drain_events(timeout=1.3)
    publish("q", "x")
    other = connect(straight=service.endpoint_url)
    assert other.SimpleQueue("q").get(timeout=10).payload == "x"


def test_a_closed_channel_takes_nothing_with_it(
    connect: Connect, service: LocalService, publish: Callable[..., None]
) -> None:
    """Its connection lives on, with nobody to turn it."""
    left = connect(straight=service.endpoint_url, visibility_timeout=60, wait_time_seconds=3)
    queue = left.SimpleQueue("q")
    publish("q", "first")
    queue.get(timeout=PATIENCE).ack()
    with pytest.raises(queue.Empty):
        queue.get(timeout=1.3)
    queue.close()
    publish("q", "x")
    other = connect(straight=service.endpoint_url)
    assert other.SimpleQueue("q").get(timeout=10).payload == "x"


def test_channels_that_come_and_go_leave_nothing_behind(connect: Connect, relay: Relay, loop: Loop) -> None:
    """A process may open and close channels with consumers for months on one connection."""
    connection = connect()
    queues = declared(connection, "q")
    loop.attach(connection)

    def come_and_go() -> None:
        polls = relay.calls["ReceiveMessage"]
        with connection.channel() as channel, connection.Consumer(queues, channel=channel):
            loop.until(lambda: relay.calls["ReceiveMessage"] > polls)

    for _ in range(5):
        come_and_go()
    receiver = connection.transport.receiver
    loop.until(lambda: receiver._client.in_flight == 0)
    come_and_go()
    assert (len(receiver._leaving), len(receiver._lanes)) == (1, 0)


def test_an_ack_after_the_channel_has_closed_is_an_error_of_the_connection(
    connect: Connect, publish: Callable[..., None]
) -> None:
    """As with RabbitMQ: Celery logs those of tasks that were running when the connection was lost, and goes on."""
    connection, held = connect(), []
    queues = declared(connection, "q")
    channel = connection.channel()
    publish("q", "x")
    with connection.Consumer(queues, channel=channel, on_message=held.append):
        drain_until(connection, lambda: held)
    channel.close()
    with pytest.raises(connection.connection_errors):
        held[0].ack()


def test_recovery_is_said_once(
    connect: Connect, relay: Relay, publish: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    """One line at the start of a bad time, one at its end."""
    caplog.set_level("INFO", "kombu_sns_sqs")
    connection, received = connect(), []
    queues = declared(connection, "q")
    relay.fault("ReceiveMessage", ServerError(503), times=2)
    with connection.Consumer(queues, on_message=lambda m: (received.append(m.payload), m.ack())):
        drain_until(connection, lambda: "receiving from queue 'q' again" in caplog.text)
        publish("q", "x")
        drain_until(connection, lambda: received)
    assert caplog.text.count("cannot receive from queue 'q'") == 1
    assert caplog.text.count("receiving from queue 'q' again") == 1


def test_a_message_given_back_by_a_close_is_there_at_once(
    connect: Connect, service: LocalService, publish: Callable[..., None]
) -> None:
    """What was in hand and what was waiting behind it, long before their leases of a minute end."""
    connection, held = connect(visibility_timeout=60), []
    queues = declared(connection, "q")
    publish("q", *range(5))
    channel = connection.channel()
    channel.basic_qos(prefetch_count=4)
    with connection.Consumer(queues, channel=channel, on_message=held.append):
        drain_until(connection, lambda: len(held) == 2)
    connection.release()
    queue = connect(straight=service.endpoint_url).SimpleQueue("q")
    assert sorted(queue.get(timeout=10).payload for _ in range(5)) == list(range(5))


def test_a_reject_with_requeue_comes_back_and_one_without_does_not(
    connect: Connect, publish: Callable[..., None]
) -> None:
    """The first is redelivered, the second is gone."""
    connection = connect()
    queue = connection.SimpleQueue("q")
    publish("q", "x")
    queue.get(timeout=10).requeue()
    again = queue.get(timeout=10)
    assert again.delivery_info["redelivered"]
    again.reject()
    with pytest.raises(queue.Empty):
        queue.get(timeout=1.5)


def test_a_receive_whose_answer_was_lost_comes_back_after_its_lease(
    connect: Connect, relay: Relay, publish: Callable[..., None]
) -> None:
    """Nobody knows that receipt handle; the message is delivered once, and deleted."""
    connection = connect(visibility_timeout=2)
    queue = connection.SimpleQueue("q")
    publish("q", "x")
    relay.fault("ReceiveMessage", CutAfter(), times=1)
    queue.get(timeout=PATIENCE).ack()
    with pytest.raises(queue.Empty):
        queue.get(timeout=3)
