"""When kombu and Celery declare, wait and swap methods: what the transport's economy of calls rests on."""

from __future__ import annotations

import inspect
from queue import Empty
from typing import Any

import pytest
from celery.worker import loops
from celery.worker.consumer.tasks import Tasks
from kombu import Connection, Exchange, Producer, messaging
from kombu.asynchronous import Hub
from kombu.common import maybe_declare
from kombu.transport import base, virtual


class Recorder(virtual.Channel):  # type: ignore[misc]
    """A channel in memory that counts declarations."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.declared: list[str] = []

    def exchange_declare(self, exchange: str | None = None, *args: Any, **kwargs: Any) -> None:
        """Count."""
        self.declared.append(exchange or "")

    def _put(self, queue: str, message: Any, **kwargs: Any) -> None:
        """Drop."""

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        """Have nothing."""
        raise Empty


class RecordingTransport(virtual.Transport):  # type: ignore[misc]
    """A transport of such channels."""

    Channel = Recorder


def published(exchange: Exchange, times: int) -> list[str]:
    """What was declared by a producer that published that often, each time naming the exchange."""
    with Connection(transport=RecordingTransport) as connection:
        channel = connection.channel()
        for _ in range(times):
            Producer(channel).publish("x", exchange=exchange, routing_key="k", declare=[exchange])
        return list(channel.declared)


def test_a_lasting_exchange_is_declared_once_a_connection() -> None:
    """Kombu remembers it: declaring may cost a call."""
    assert published(Exchange("lasting", "direct", channel=None), 3) == ["lasting"]


def test_an_auto_delete_exchange_is_declared_with_every_publish() -> None:
    """Kombu does not remember that one: the second declaration within a moment must cost none."""
    assert published(Exchange("passing", "direct", auto_delete=True), 3) == ["passing"] * 3


def test_what_is_declared_is_copied_and_bound_before_kombu_looks_whether_it_is() -> None:
    """When it looks first, ``celery_integration.declaring`` may go."""
    bound: list[str] = []

    class Noted(Exchange):  # type: ignore[misc]
        def when_bound(self) -> None:
            bound.append(self.name)

    with Connection(transport=RecordingTransport) as connection:
        channel = connection.channel()
        for _ in range(3):
            maybe_declare(Noted("lasting", "direct"), channel, retry=True)
        assert channel.declared == ["lasting"]
        assert connection.declared_entities == {hash(Exchange("lasting"))}
    assert bound == ["lasting"] * 3
    assert "return maybe_declare(entity, self.channel, retry" in inspect.getsource(messaging.Producer)


def test_drain_events_hands_on_timeouts_as_they_are() -> None:
    """The transport is given the seconds, and what it raises reaches the caller."""

    class Silent(RecordingTransport):
        asked: list[float | None] = []  # noqa: RUF012 -- one transport, one test

        def drain_events(self, connection: Any, timeout: float | None = None) -> None:
            self.asked.append(timeout)
            raise TimeoutError

    with Connection(transport=Silent) as connection, pytest.raises(TimeoutError):
        connection.drain_events(timeout=0.25)
    assert Silent.asked == [0.25]


def test_only_a_broker_of_type_amqp_is_drained_before_the_loop() -> None:
    """Celery's quick drain would open a long poll for a tenth of a second."""
    assert "if connection.transport.driver_type == 'amqp':" in inspect.getsource(loops.asynloop)


def test_a_lost_connection_costs_the_timers_made_since_it_began() -> None:
    """Celery cancels them, ours included: whatever must go on has to be asked for again by the next connection."""
    assert "_timer_entries(hub.timer) - timer_entries_before" in inspect.getsource(loops.asynloop)
    hub = Hub()
    before = loops._timer_entries(hub.timer)
    ours = hub.call_later(60, print)
    loops._cancel_timer_entries(hub.timer, loops._timer_entries(hub.timer) - before)
    assert ours.canceled
    hub.close()


def test_the_condition_of_disable_prefetch_is_put_over_can_consume() -> None:
    """On the channel's `qos`, by a method of the same name."""
    source = inspect.getsource(Tasks.start)
    assert "channel_qos.can_consume = MethodType(can_consume, channel_qos)" in source
    assert "c.task_consumer.channel.qos" in source


def test_a_transport_without_heartbeats_is_asked_for_none() -> None:
    """Celery sets no timer for them."""
    assert base.Transport.implements.heartbeats is False
    assert "connection.supports_heartbeats" in inspect.getsource(loops._enable_amqheartbeats)
