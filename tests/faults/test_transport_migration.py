"""Moving over from kombu's own ``sqs://``, worker by worker: what one writes, the other reads."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from kombu import Connection, Exchange, Producer, Queue
from kombu.serialization import registry

from tests.conformance.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kombu_sns_sqs.local import LocalService

    Connect = Callable[..., Connection]

BODIES: dict[str, tuple[Any, dict[str, Any]]] = {
    "json": ({"a": [1, "ü", None]}, {"serializer": "json"}),
    "pickle": ({"a": {1, 2}}, {"serializer": "pickle"}),
    "compressed": ({"a": "x" * 1000}, {"serializer": "json", "compression": "zlib"}),
    "text": ("plain ü", {"serializer": "raw", "content_type": "text/plain", "content_encoding": "utf-8"}),
    "bytes": (b"\x00\xff", {"serializer": "raw", "content_type": "application/data", "content_encoding": "binary"}),
}


@pytest.fixture
def kombu_sqs(service: LocalService, prefix: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """A connection of kombu's own transport to the same queues."""
    pytest.importorskip("pycurl", reason="kombu's sqs:// needs it")
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    options = {"region": "us-east-1", "is_secure": False, "queue_name_prefix": prefix, "wait_time_seconds": 1}
    address = service.endpoint_url.removeprefix("http://")
    with Connection(f"sqs://{service.access_key}:{service.secret_key}@{address}", transport_options=options) as made:
        yield made


@pytest.fixture(autouse=True)
def pickle_allowed() -> Iterator[None]:
    """Pickled messages are among those that have to travel."""
    disabled = set(registry._disabled_content_types)
    registry.enable("application/x-python-serialize")
    yield
    registry._disabled_content_types.clear()
    registry._disabled_content_types.update(disabled)


def fetch(connection: Connection) -> Any:
    """One message of the queue, acknowledged."""
    queue = Queue("q")(connection.channel())
    message = eventually(queue.get)
    message.ack()
    return message


@pytest.mark.parametrize("kind", list(BODIES))
def test_what_kombu_writes_is_read(connect: Connect, kombu_sqs: Connection, kind: str) -> None:
    """Its producers may still be there when the workers are ours: body, headers and properties arrive."""
    connection = connect()
    Queue("q")(connection).declare()
    body, how = BODIES[kind]
    producer = Producer(kombu_sqs.channel(), auto_declare=False)
    producer.publish(body, routing_key="q", headers={"task": "t"}, correlation_id="c", **how)
    message = fetch(connection)
    assert message.payload == body
    assert message.headers["task"] == "t"
    assert message.properties["correlation_id"] == "c"
    assert message.delivery_info["routing_key"] == "q"


@pytest.mark.parametrize("kind", list(BODIES))
def test_kombu_reads_what_is_written_for_it(connect: Connect, kombu_sqs: Connection, kind: str) -> None:
    """With ``compat='sqs'`` our producers feed its workers, too."""
    connection = connect(compat="sqs")
    Queue("q")(connection).declare()
    body, how = BODIES[kind]
    producer = connection.Producer(auto_declare=False)
    producer.publish(body, routing_key="q", headers={"task": "t"}, correlation_id="c", **how)
    message = fetch(kombu_sqs)
    assert message.payload == body
    assert message.headers["task"] == "t"
    assert message.properties["correlation_id"] == "c"
    assert message.delivery_info["routing_key"] == "q"


def test_a_queue_that_kombu_made_is_found_and_bound(connect: Connect, kombu_sqs: Connection) -> None:
    """Under the same name; it has no access policy, so SNS is let in first."""
    Queue("q")(kombu_sqs.channel()).declare()
    Producer(kombu_sqs.channel(), auto_declare=False).publish("old", routing_key="q")
    connection = connect(policy_settling=0)
    Queue("q", Exchange("e"), "k")(connection).declare()
    assert fetch(connection).payload == "old"
    connection.Producer().publish("new", exchange="e", routing_key="k")
    assert fetch(connection).payload == "new"
