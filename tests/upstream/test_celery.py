"""What is assumed of Celery: its next release tells us here first."""

from __future__ import annotations

import inspect
import logging
from typing import TYPE_CHECKING

from celery import Celery, group
from celery.bootsteps import Blueprint
from celery.concurrency.base import BasePool
from celery.events.event import get_exchange
from celery.worker import state
from celery.worker.autoscale import WorkerComponent
from celery.worker.consumer.consumer import Consumer
from celery.worker.consumer.control import Control
from celery.worker.consumer.gossip import Gossip
from celery.worker.consumer.mingle import Mingle
from celery.worker.consumer.tasks import Tasks
from celery.worker.loops import synloop
from kombu import Connection

from celery_integration import install

if TYPE_CHECKING:
    import pytest

URL = "sns-sqs://k:s@127.0.0.1:1?region=us-east-1"


def test_remote_control_is_granted_to_whoever_has_fanout() -> None:
    """And so to this transport, without being named."""
    assert "supports_exchange_type('fanout')" in inspect.getsource(Control.include_if)
    assert Connection(URL).supports_exchange_type("fanout")


def test_queues_of_remote_control_and_events_are_exclusive() -> None:
    """What makes them private to their process."""
    conf = Celery(set_as_current=False).conf
    assert conf.control_queue_exclusive is True
    assert conf.event_queue_exclusive is True


def test_events_travel_by_topic() -> None:
    """Only drivers that Celery names get a fanout instead."""
    assert get_exchange(Connection(URL)).type == "topic"


def test_plain_tasks_travel_by_the_default_exchange() -> None:
    """A task for a queue of a direct exchange is sent to the queue: one SendMessage, no topic."""
    source = inspect.getsource(__import__("celery.app.amqp", fromlist=["AMQP"]).AMQP._create_task_sender)
    assert "exchange, routing_key = '', qname" in source


def test_install_lets_workers_mingle_and_leaves_gossip_off() -> None:
    """Celery keeps the names of drivers in sets on its bootsteps."""
    app = Celery(set_as_current=False)
    assert "amqp" in Mingle.compatible_transports
    assert "amqp" in Gossip.compatible_transports
    try:
        assert install(app) is app
        assert "sns-sqs" in Mingle.compatible_transports
        assert "sns-sqs" not in Gossip.compatible_transports
        install(app, mingle=False, gossip=True)
        assert "sns-sqs" not in Mingle.compatible_transports
        assert "sns-sqs" in Gossip.compatible_transports
    finally:
        install(app, mingle=False, gossip=False)


def test_celery_disables_prefetching_for_redis_alone_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """In a warning that is not true once `install` was called, and is dropped then, for this transport alone."""
    source = inspect.getsource(Tasks.start)
    assert "is_redis_broker = c.connection.transport.driver_type == 'redis'" in source
    assert "worker_disable_prefetch is only supported for Redis brokers. " in source
    install(Celery(set_as_current=False), mingle=False, batches=False)
    for driver in ("sns-sqs", "amqp"):
        logging.getLogger(Tasks.__module__).warning(
            f"worker_disable_prefetch is only supported for Redis brokers. Current broker transport: {driver}. "  # noqa: G004
        )
    assert ["amqp" in record.message for record in caplog.records] == [True]


def test_a_pool_says_how_many_it_runs_at_once_and_celery_what_it_has_reserved() -> None:
    """What fetching on demand goes by."""
    assert BasePool(limit=3).num_processes == 3
    assert "w.autoscaler = None" in inspect.getsource(WorkerComponent.__init__)
    assert len(state.reserved_requests) == 0


def test_a_group_applies_its_tasks_in_one_place_with_one_producer() -> None:
    """Where batches are put in."""
    assert list(inspect.signature(group._apply_tasks).parameters)[:4] == ["self", "tasks", "producer", "app"]


def test_every_publication_of_an_app_asks_it_for_a_producer() -> None:
    """Through a method that can be replaced."""
    app = Celery(broker="memory://", set_as_current=False)
    asked = []
    acquire = app.producer_or_acquire
    app.producer_or_acquire = lambda producer=None: asked.append(producer) or acquire(producer)
    app.send_task("noop")
    assert asked == [None]


def test_after_a_connection_error_celery_collects_the_connection_and_then_closes_it() -> None:
    """And what runs goes on: closing must give nothing of that back."""
    source = inspect.getsource(Consumer.on_connection_error_after_connected)
    assert 0 < source.index("self.connection.collect(") < source.index("connection.close)")


def test_a_consumer_that_stops_has_dropped_what_it_has_not_begun_before_its_steps_are_stopped() -> None:
    """So that a step can give it back; the state of the blueprint tells a stop from a restart."""
    source = inspect.getsource(Blueprint.stop)
    assert source.index("self.close(parent)") < source.index("self.state = CLOSE") < source.index("self.restart(")
    assert "reserved_requests.clear()" in inspect.getsource(Consumer.on_close)


def test_what_is_asked_for_soon_is_done_when_the_loop_turns_with_and_without_a_hub() -> None:
    """In any thread: how a watch learns that the loop turns."""
    source = inspect.getsource(Consumer.call_soon)
    assert "self.hub.call_soon(p)" in source
    assert "self._pending_operations.append(p)" in source
    assert "perform_pending_operations()" in inspect.getsource(synloop)
