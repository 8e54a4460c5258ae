"""Canvas of an installed app: ten tasks to a request."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery, chord, group
from kombu import Connection, Producer
from kombu.exceptions import EncodeError

from celery_integration import install, publish_batch
from kombu_sns_sqs.publishing.outcomes import PublishBatchFailed
from tests.faults.weather import HalfFails, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.faults.relay import Relay


def do_nothing(*args: Any) -> None:
    """The body of the task."""


@pytest.fixture
def app(connect: Callable[..., Connection], relay: Relay) -> Iterator[Celery]:
    """An app whose queue is there."""
    connection = connect()
    app = Celery(
        broker="sns-sqs://test:test@{}/{}".format(relay.url.removeprefix("http://"), connection.virtual_host or ""),
        backend="cache+memory://",
    )
    app.conf.broker_transport_options = dict(connection.transport_options)
    app.set_current()
    with app.connection_for_write() as declaring:
        app.amqp.queues["celery"](declaring.default_channel).declare()
    yield app
    app.close()


@pytest.fixture
def noop(app: Celery) -> Any:
    """A task."""
    return app.task(name="noop", shared=False)(do_nothing)


def sent(relay: Relay) -> tuple[int, int]:
    """Requests that carried one message, and ten."""
    return relay.calls["SendMessage"], relay.calls["SendMessageBatch"]


def test_a_group_of_an_installed_app_is_sent_ten_to_a_request(app: Celery, noop: Any, relay: Relay) -> None:
    """It needs no other word than install()."""
    install(app)
    group(noop.s(number) for number in range(25)).apply_async()
    assert sent(relay) == (0, 3)


def test_the_header_of_a_chord_goes_the_same_way(app: Celery, noop: Any, relay: Relay) -> None:
    """And so does a group in a chain."""
    install(app)
    chord([noop.si() for _ in range(20)], noop.si()).apply_async()
    assert sent(relay) == (0, 2)


def test_an_app_that_is_not_installed_sends_one_by_one(app: Celery, noop: Any, relay: Relay) -> None:
    """What Celery does must not change for others."""
    install(Celery(set_as_current=False))
    group(noop.s(number) for number in range(5)).apply_async()
    assert sent(relay) == (5, 0)


def test_a_loop_in_a_publish_batch_is_a_batch(app: Celery, noop: Any, relay: Relay) -> None:
    """``delay`` finds it by itself, in this thread and no other; a group inside is a part of it."""
    with publish_batch(app):
        for number in range(12):
            noop.delay(number)
        other = threading.Thread(target=noop.delay)
        other.start()
        other.join()
        assert sent(relay) == (1, 1)
        install(app)
        group(noop.si() for _ in range(3)).apply_async()
    assert sent(relay) == (1, 2)
    noop.delay()
    assert sent(relay) == (2, 2)


def test_a_publish_batch_that_fails_sends_nothing_more(app: Celery, noop: Any, relay: Relay) -> None:
    """And the next one is not the worse for it."""

    def fail() -> None:
        with publish_batch(app):
            noop.delay()
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert sent(relay) == (0, 0)
    with publish_batch(app):
        noop.delay()
    assert sent(relay) == (0, 1)


def test_what_fails_in_a_publish_batch_takes_nothing_of_it_away(app: Celery, noop: Any, relay: Relay) -> None:
    """A group, or a block within the block: who catches its error goes on, and the rest is sent."""
    install(app)

    def fail() -> None:
        with publish_batch(app):
            noop.delay("within")
            raise LookupError

    with app.connection_for_write() as connection:
        app.amqp.queues["celery"](connection.default_channel).purge()
    with publish_batch(app):
        noop.delay("before")
        with pytest.raises(EncodeError):
            group([noop.s("half"), noop.s(object())]).apply_async()
        with pytest.raises(LookupError):
            fail()
        noop.delay("after")
    assert sent(relay) == (0, 1)
    with app.connection_for_read() as connection:
        queue = app.amqp.queues["celery"](connection.default_channel)
        found = {queue.get(no_ack=True).payload[0][0] for _ in range(4)}
    assert found == {"before", "half", "within", "after"}


def test_the_last_install_says_whether_groups_are_batches(app: Celery, noop: Any, relay: Relay) -> None:
    """As with everything else that can be left out."""
    install(app)
    install(app, batches=False)
    group(noop.si() for _ in range(3)).apply_async()
    assert sent(relay) == (3, 0)


def test_a_group_that_is_half_refused_says_which_tasks(app: Celery, noop: Any, relay: Relay) -> None:
    """By their ids."""
    install(app)
    relay.fault("SendMessageBatch", HalfFails("InvalidMessageContents", sender_fault=True))
    signatures = [noop.s(number) for number in range(10)]
    ids = [signature.freeze().id for signature in signatures]
    with pytest.raises(PublishBatchFailed) as caught:
        group(signatures).apply_async()
    assert [one.id for one in caught.value.refused] == ids[1::2]
    assert [one.id for one in caught.value.sent] == ids[::2]


def test_a_group_does_not_fail_or_wait_for_its_events(app: Celery, noop: Any, relay: Relay) -> None:
    """They are nobody's to wait for, in a batch as elsewhere."""
    install(app)
    app.conf.task_send_sent_event = True
    relay.fault("PublishBatch", Refused("AuthorizationError", 403))
    relay.fault("Publish", Refused("AuthorizationError", 403))
    group(noop.si() for _ in range(10)).apply_async()
    assert sent(relay) == (0, 1)


def test_another_broker_is_left_alone() -> None:
    """Its transport may have batches with habits of their own."""
    app = install(Celery(broker="memory://", set_as_current=False))
    task = app.task(name="noop", shared=False)(do_nothing)
    group(task.si() for _ in range(3)).apply_async()
    with app.connection_for_read() as connection:
        queue = app.amqp.queues["celery"](connection.default_channel)
        assert all(queue.get(no_ack=True) for _ in range(3))
    assert Producer(connection).supports_batch_publish is False
