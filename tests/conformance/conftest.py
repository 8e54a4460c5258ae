"""What AMQP promises, asked of every broker alike.

The scenarios are written against kombu's public API and know no broker. RabbitMQ is the oracle: a scenario it fails is
a wrong scenario. Everything a scenario makes has a name of its own, so scenarios do not see each other.

* ``connect()`` gives a new connection, ``connection``, ``channel`` and ``producer`` the usual ones of a scenario.
* ``names("orders")`` gives a name nobody else uses.
* ``declare(queue)`` binds an entity to the channel and declares it.
* ``expect((queue, [body, ...]), ...)`` asserts what arrives, and that nothing else does.
* ``spawn(function, *args)`` and ``in_process(function, *args)`` run a function of `actors` in a process that shares
  nothing with this one; the first gives a handle, the second waits for the result.
* ``loop`` turns connections; a scenario that asks for it runs with ``drain_events`` and with kombu's hub.
"""

from __future__ import annotations

import sys
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from kombu import Connection, Producer

from tests.brokers import Broker, open_connection

from .expectations import Expectation
from .ledger import SKIPS
from .loops import LOOPS, DrainLoop, Loop
from .remote import Processes, RemoteCall

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Scenario -> the rows collected of it (an empty name where it is no table).
COLLECTED: pytest.StashKey[dict[str, set[str]]] = pytest.StashKey()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Apply the ledger, before anything is deselected."""
    collected = config.stash.setdefault(COLLECTED, {})
    for item in items:
        callspec = getattr(item, "callspec", None)
        if callspec is None or "broker" not in callspec.params or "conformance" not in item.path.parts:
            continue
        broker = callspec.params["broker"]
        scenario = f"{item.path.stem}::{getattr(item, 'originalname', item.name)}"
        row = "-".join(part for part in callspec.id.split("-") if part != broker)
        collected.setdefault(scenario, set()).add(row)
        reason = SKIPS.get((scenario, broker)) or SKIPS.get((f"{scenario}[{row}]", broker))
        if reason:
            item.add_marker(pytest.mark.skip(reason=f"{broker}: {reason}"))


@pytest.fixture(scope="module", autouse=True)
def ended() -> Iterator[None]:
    """End what the name prefixes of a file's scenarios have opened: a process has room for a thousand files or so."""
    yield
    if "kombu_sns_sqs" in sys.modules:
        sys.modules["kombu_sns_sqs"].shutdown()


@pytest.fixture
def collected(request: pytest.FixtureRequest) -> dict[str, set[str]]:
    """Which scenarios this run has collected, and which rows of them."""
    return request.config.stash.get(COLLECTED, {})


@pytest.fixture
def namespace() -> str:
    """What the names of this scenario have in common."""
    return f"t{uuid.uuid4().hex[:8]}"


@pytest.fixture
def names(namespace: str) -> Callable[[str], str]:
    """A function from a word to an entity name that is used by this scenario alone."""
    return lambda word: f"{word}-{namespace}"


@pytest.fixture
def connect(request: pytest.FixtureRequest, broker: Broker, namespace: str) -> Iterator[Callable[[], Connection]]:
    """A factory of independent connections, closed at the end."""
    if "loop" in request.fixturenames:
        # As in a worker, the loop is there before the first connection and until after the last.
        request.getfixturevalue("loop")
    broker.check()
    connections: list[Connection] = []

    def connect() -> Connection:
        connections.append(open_connection(broker.url_for(namespace), broker.transport_options))
        return connections[-1]

    yield connect
    for connection in connections:
        connection.release()


@pytest.fixture
def connection(connect: Callable[[], Connection]) -> Connection:
    """The scenario's own connection."""
    return connect()


@pytest.fixture
def channel(connection: Connection) -> Any:
    """A channel of it."""
    return connection.channel()


@pytest.fixture
def producer(channel: Any) -> Producer:
    """A producer on that channel, which declares nothing of itself."""
    return Producer(channel, auto_declare=False)


@pytest.fixture
def declare(channel: Any) -> Callable[[Any], Any]:
    """A function that binds an exchange or queue to the channel, declares it and returns it."""

    def declare(entity: Any) -> Any:
        bound = entity(channel)
        bound.declare()
        return bound

    return declare


@pytest.fixture
def expect(broker: Broker) -> Expectation:
    """Asserts what is in queues."""
    return Expectation(broker.settle_seconds)


@pytest.fixture(scope="session")
def processes() -> Iterator[Processes]:
    """Python processes waiting for work."""
    processes = Processes()
    yield processes
    processes.close()


@pytest.fixture
def spawn(broker: Broker, namespace: str, processes: Processes) -> Iterator[Callable[..., RemoteCall]]:
    """Start a function of `actors` in another process."""
    calls: list[RemoteCall] = []

    def spawn(function: Callable[..., Any], *args: Any) -> RemoteCall:
        calls.append(processes.call(broker.url_for(namespace), broker.transport_options, function, *args))
        return calls[-1]

    yield spawn
    for call in calls:
        call.kill()


@pytest.fixture
def in_process(spawn: Callable[..., RemoteCall]) -> Callable[..., Any]:
    """Run a function of `actors` in another process and return its result."""
    return lambda function, *args: spawn(function, *args).result()


@pytest.fixture(params=list(LOOPS))
def loop(request: pytest.FixtureRequest) -> Iterator[Loop]:
    """Both ways of delivering, one after the other."""
    loop = LOOPS[request.param]()
    yield loop
    loop.close()


@pytest.fixture
def drain() -> Loop:
    """`drain_events` alone, for scenarios whose subject is not the loop."""
    return DrainLoop()
