"""What is assumed of kombu: its next release tells us here first."""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import threading
from importlib.metadata import entry_points
from typing import Any

import pytest
from kombu import Connection, Exchange, Queue
from kombu.asynchronous import Hub
from kombu.pidbox import Mailbox
from kombu.transport import base, virtual
from vine import promise

import kombu_sns_sqs

URL = "sns-sqs://AKID:SE/CRET+@127.0.0.1:1/prefix-?region=us-east-1"


def test_the_entry_point_makes_the_scheme_known_without_an_import() -> None:
    """Loading kombu.serialization is enough, and Celery does that before it resolves its broker."""
    assert [point.value for point in entry_points(group="kombu.serializers") if point.name == "sns-sqs"] == [
        "kombu_sns_sqs:serializer_entry_point"
    ]
    code = "import kombu.serialization; from kombu.transport import TRANSPORT_ALIASES as t; print(t['sns-sqs'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "kombu_sns_sqs.transport:Transport"


def test_a_url_reaches_the_transport_whole_and_leaves_no_key_in_sight() -> None:
    """Kombu keeps it as the host name; the keys end up in the one field that is never shown."""
    connection = Connection(URL)
    assert connection.hostname == URL
    assert "CRET" not in connection.as_uri()
    info = connection.info()
    assert "CRET" not in str({key: value for key, value in info.items() if key != "password"})
    assert info["password"] == "AKID:SE/CRET+"
    assert info["userid"] is None


def test_clones_and_pickles_of_a_connection_keep_its_keys() -> None:
    """Pools clone connections; multiprocessing pickles them."""
    connection = Connection(URL)
    connection.as_uri()
    for copied in (connection.clone(), pickle.loads(pickle.dumps(connection))):
        assert copied.transport.url.access_key_id == "AKID"
        assert copied.transport.url.secret_access_key == "SE/CRET+"
        assert "CRET" not in copied.as_uri()


@pytest.mark.parametrize("secret", ["se/cr+et=", "what%3F", "per%25cent", "a%40b"])
def test_a_url_that_is_shown_with_its_keys_can_be_used(secret: str) -> None:
    """It says the same."""
    connection = Connection(f"sns-sqs://AKID:{secret}@host/p-?region=x")
    shown = Connection(connection.as_uri(include_password=True))
    assert shown.transport.url == connection.transport.url


def test_a_batch_within_another_of_its_producer_shares_its_state_and_its_end() -> None:
    """An exception that leaves the inner one spoils both, so ours join: known by an attribute of the producer's."""
    producer = Connection("memory://").Producer()
    assert getattr(producer._batch_local, "current", None) is None
    with producer.batch():
        state = producer._batch_local.current
        with contextlib.suppress(LookupError), producer.batch():
            assert producer._batch_local.current is state
            raise LookupError
        assert state.aborted
    assert getattr(producer._batch_local, "current", None) is None


def test_the_transport_can_be_named_by_its_class() -> None:
    """`Connection(transport=...)` without a URL means AWS itself."""
    connection = Connection(transport="kombu_sns_sqs:Transport")
    assert isinstance(connection.transport, kombu_sns_sqs.Transport)
    assert connection.as_uri() == "sns-sqs://"


def test_transport_tells_the_truth_about_itself() -> None:
    """Celery decides by these what a worker may do."""
    transport = kombu_sns_sqs.Transport
    assert transport.implements.exchange_type == {"direct", "topic", "fanout"}
    assert transport.implements.asynchronous
    assert not transport.implements.heartbeats
    assert transport.implements.batch_publish
    assert transport.driver_type == "sns-sqs"


def test_queue_declare_comes_before_bind_and_nothing_between() -> None:
    """The making of a temporary queue is put off until it is known whether it is bound."""
    calls: list[str] = []

    class Recorder:
        connection = type("C", (), {"client": type("D", (), {"declared_entities": set()})()})()

        def prepare_queue_arguments(self, arguments: Any, **_: Any) -> Any:
            return arguments

        def __getattr__(self, name: str) -> Any:
            def record(*_: Any, **__: Any) -> Any:
                calls.append(name)
                return ("q", 0, 0)

            return record

    Queue("q", Exchange("e"), "k", channel=Recorder()).declare()
    assert calls == ["exchange_declare", "queue_declare", "queue_bind"]


def test_pidbox_names_its_queues_as_we_read_them() -> None:
    """Replies go to the queue that is named after key and exchange."""
    mailbox = Mailbox("celery")
    reply = mailbox.get_reply_queue()
    assert reply.name == f"{reply.routing_key}.{reply.exchange.name}"
    assert reply.exchange.name == "reply.celery.pidbox"
    assert reply.exclusive
    assert mailbox.get_queue("worker@host").name == "worker@host.celery.pidbox"
    assert mailbox.get_queue("worker@host").exclusive


def test_the_hub_runs_one_promise_once_however_often_it_is_asked_for() -> None:
    """`call_soon` keeps a set."""
    hub, turns = Hub(), []
    turn = promise(lambda: turns.append(1))
    for _ in range(3):
        hub.call_soon(turn)
    hub.run_once()
    assert turns == [1]
    hub.close()


def test_the_hub_is_woken_by_another_thread() -> None:
    """`call_soon` from a thread ends the wait of the poller."""
    hub, called = Hub(), threading.Event()
    reader, writer = os.pipe()
    hub.add_reader(reader, lambda: None)
    hub.run_once()
    thread = threading.Timer(0.05, lambda: hub.call_soon(called.set))
    thread.start()
    for _ in range(3):
        hub.run_once()
    assert called.is_set()
    thread.join()
    hub.close()
    os.close(reader)
    os.close(writer)


def test_the_hub_sleeps_before_it_does_what_it_was_asked_for_in_the_same_turn() -> None:
    """`call_soon` within what `call_soon` asked for: `_ready` has it, and the poller is waited for first."""
    hub, events = Hub(), []
    reader, writer = os.pipe()
    hub.add_reader(reader, lambda: None)
    hub.poller.poll = lambda timeout: events.append(f"sleeps {timeout} s, {len(hub._ready)} ready") or []
    hub.call_soon(lambda: hub.call_soon(events.append, "done"))
    hub.run_once()
    hub.run_once()
    assert events[:2] == ["sleeps 1 s, 1 ready", "done"]
    hub.close()
    os.close(reader)
    os.close(writer)


def test_a_reset_of_the_hub_tells_those_who_asked() -> None:
    """Celery resets it when a connection is lost."""
    hub, told = Hub(), []
    hub.on_close.add(told.append)
    hub.reset()
    assert told == [hub]
    hub.close()


def test_collect_is_left_to_the_transport() -> None:
    """In forked children and after connection errors kombu calls `_collect` and nothing else."""
    connection, collected = Connection(URL), []
    connection.transport._collect = collected.append
    connection.collect()
    assert collected == [None]


def test_kombu_finds_no_other_hooks_on_a_transport() -> None:
    """The public surface of kombu's base class is the one that is filled in here."""
    surface = {name for name in vars(base.Transport) if not name.startswith("_")}
    assert surface <= set(dir(kombu_sns_sqs.Transport))
    assert {"basic_publish", "basic_consume", "basic_get", "queue_declare"} <= set(dir(virtual.Channel))
    verbs = {name for name in dir(virtual.Channel) if name.startswith(("basic_", "queue_", "exchange_d"))}
    assert verbs <= set(dir(kombu_sns_sqs.Transport.Channel))
