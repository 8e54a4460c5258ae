"""Publications of an installed app: what is declared is not prepared for being declared again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery
from kombu import Connection, Exchange, Producer, Queue
from kombu.exceptions import ChannelError

from celery_integration import install

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.faults.relay import Relay


class Bound(Queue):  # type: ignore[misc]
    """A queue that counts how often it, or a copy of it, was bound to a channel."""

    times = 0

    def when_bound(self) -> None:
        """Count."""
        type(self).times += 1
        super().when_bound()


@pytest.fixture
def kind() -> type[Bound]:
    """A kind of queue with a count of its own."""
    return type("Counted", (Bound,), {"times": 0})


@pytest.fixture(autouse=True)
def app() -> Iterator[Celery]:
    """An installed app."""
    app = Celery(broker="memory://", set_as_current=False)
    yield install(app)
    install(app, mingle=False, batches=False)


def publish(connection: Connection, *entities: Any, times: int = 1) -> None:
    """Publish as Celery does, naming what is to be declared."""
    producer = connection.Producer()
    for _ in range(times):
        producer.publish({}, routing_key="q", declare=entities, retry=True)


def test_a_queue_is_bound_once_and_declared_once(
    connect: Callable[..., Connection], relay: Relay, kind: type[Bound]
) -> None:
    """And not with every task."""
    connection = connect()
    publish(connection, kind("q"), times=3)
    assert kind.times == 1
    assert relay.calls["CreateQueue"] == 1
    assert relay.calls["SendMessage"] == 3


def test_a_queue_of_the_same_name_counts_as_declared(connect: Callable[..., Connection], kind: type[Bound]) -> None:
    """Kombu goes by the name alone; an exchange of that name is another thing."""
    connection = connect()
    publish(connection, kind("q"))
    publish(connection, kind("q"), Exchange("q"))
    assert kind.times == 1
    assert {hash(Queue("q")), hash(Exchange("q"))} <= connection.declared_entities


def test_what_may_go_by_itself_is_declared_each_time(connect: Callable[..., Connection], kind: type[Bound]) -> None:
    """An auto-delete queue, and one that expires, also after one of that name that lasts."""
    connection = connect()
    publish(connection, Queue("q"))
    connection.declared_entities.update({hash(Queue("gone")), hash(Queue("old"))})
    old = kind("old", queue_arguments={"x-expires": 60_000})
    publish(connection, kind("gone", auto_delete=True), old, times=2)
    assert kind.times == 4


def test_after_a_reconnect_all_is_declared_again(connect: Callable[..., Connection], kind: type[Bound]) -> None:
    """The queue may have been deleted meanwhile."""
    connection = connect()
    publish(connection, kind("q"))
    connection.default_channel.queue_delete("q")
    connection.close()
    publish(connection, kind("q"))
    assert kind.times == 2
    assert Queue("q")(connection.default_channel).get(no_ack=True) is not None


def test_an_exchange_of_a_channel_that_was_closed_is_bound_to_the_new_one(connect: Callable[..., Connection]) -> None:
    """As kombu does it, though the exchange is declared."""
    connection = connect()
    before = connection.channel()
    exchange = Exchange("e")(before)
    producer = connection.Producer()
    for _ in range(2):
        producer.publish({}, exchange="", routing_key="q", declare=[exchange, Queue("q")], retry=True)
        before.close()
    assert exchange.channel is producer.channel


def test_a_producer_without_a_channel_is_kombus_to_refuse() -> None:
    """As it does."""
    with pytest.raises(ChannelError):
        Producer(None).maybe_declare(Queue("q"))


def test_other_brokers_are_left_to_kombu(kind: type[Bound]) -> None:
    """An app may have several."""
    with Connection("memory://") as connection:
        publish(connection, kind("q"), times=3)
    assert kind.times == 3
