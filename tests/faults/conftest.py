"""A connection whose every request passes a relay."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from kombu import Connection
from kombu.asynchronous import Hub, set_event_loop

import kombu_sns_sqs
from kombu_sns_sqs.local import LocalService
from tests.faults.account import Account
from tests.faults.relay import Relay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Seconds after which what has not happened will not happen.
PATIENCE = 15.0


@pytest.fixture(scope="session")
def service() -> Iterator[LocalService]:
    """A local service for all tests of faults."""
    with LocalService.start() as service:
        yield service
        # What is still open ends while there is a service to end it on, and not when the process exits.
        kombu_sns_sqs.shutdown()


@pytest.fixture
def relay(service: LocalService) -> Iterator[Relay]:
    """A relay in front of it."""
    with Relay(service.endpoint_url) as relay:
        yield relay


@pytest.fixture
def prefix() -> str:
    """A name prefix of this test's own."""
    return f"f{uuid4().hex[:8]}-"


@pytest.fixture
def account(service: LocalService, prefix: str) -> Account:
    """The account, around the relay."""
    return Account(service.endpoint_url, prefix)


@pytest.fixture
def connect(relay: Relay, prefix: str) -> Iterator[Callable[..., Connection]]:
    """Make connections through the relay; ``straight=True`` goes around it."""
    made: list[Connection] = []

    def connect(*, straight: str | None = None, **options: Any) -> Connection:
        url = f"sns-sqs://test:test@{(straight or relay.url).removeprefix('http://')}/{prefix}"
        defaults = {
            "region": "us-east-1",
            "wait_time_seconds": 1,
            "get_wait_seconds": 0,
            "read_timeout": 3,
            "connect_timeout": 3,
            "shutdown_timeout": 3,
            "sweep_period": 0,
        }
        made.append(Connection(url, transport_options={**defaults, **options}))
        return made[-1]

    yield connect
    relay.clear()
    for connection in made:
        connection.release()


def drain_until(connection: Connection, done: Callable[[], object], timeout: float = PATIENCE) -> None:
    """Drain events until something holds."""
    deadline = time.monotonic() + timeout
    while not done():
        assert time.monotonic() < deadline, "nothing came in time"
        try:
            connection.drain_events(timeout=0.5)
        except TimeoutError:
            continue


def run_hub(connection: Connection, done: Callable[[], object], timeout: float = PATIENCE) -> None:
    """Turn an event loop until something holds."""
    hub = getattr(connection, "test_hub", None)
    if hub is None:
        hub = connection.test_hub = Hub()
        set_event_loop(hub)
        connection.register_with_event_loop(hub)
    deadline = time.monotonic() + timeout
    hub.call_repeatedly(0.1, lambda: None)
    while not done():
        assert time.monotonic() < deadline, "nothing came in time"
        hub.run_once()
