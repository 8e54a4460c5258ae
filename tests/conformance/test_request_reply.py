"""Questions and answers: remote procedure calls and kombu's pidbox, which remote control is made of."""

from __future__ import annotations

import contextlib
import threading
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from kombu import Queue
from kombu.pidbox import Mailbox

from . import actors
from .waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kombu import Connection, Producer

    from .fixtures import Connect, Declare, Names, Serve, Spawn
    from .loops import Loop


def test_a_call_to_another_process_is_answered(
    spawn: Spawn, declare: Declare, names: Names, producer: Producer, connection: Connection, drain: Loop
) -> None:
    """The answer comes to the exclusive reply queue, through the default exchange, with the correlation id."""
    requests = declare(Queue(names("requests")))
    replies = Queue(names("replies"), exclusive=True, auto_delete=True)
    answers, correlation_id = [], str(uuid.uuid4())
    server = spawn(actors.answer_one_request, requests.name)
    with connection.Consumer([replies], on_message=answers.append, no_ack=True):
        producer.publish(21, routing_key=requests.name, reply_to=replies.name, correlation_id=correlation_id)
        drain.until(lambda: answers, connection)
    assert answers[0].payload == 42
    assert answers[0].properties["correlation_id"] == correlation_id
    assert server.result() == correlation_id


def test_a_reply_to_a_queue_that_is_gone_disturbs_nobody(
    spawn: Spawn, declare: Declare, names: Names, producer: Producer
) -> None:
    """The client may have given up."""
    requests = declare(Queue(names("requests")))
    producer.publish(21, routing_key=requests.name, reply_to=names("gone"), correlation_id="c")
    assert spawn(actors.answer_one_request, requests.name).result() == "c"


@pytest.fixture
def serve(connect: Connect) -> Iterator[Serve]:
    """Start a pidbox node in a thread, with a connection of its own; all are stopped at the end."""
    stop, threads = threading.Event(), []

    def turn(connection: Connection) -> None:
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                connection.drain_events(timeout=0.1)

    def serve(mailbox: Mailbox, hostname: str, seen: list[str]) -> None:
        def double(state: Any, n: int) -> int:
            seen.append(hostname)
            return n * 2

        connection = connect()
        node = mailbox(connection).Node(hostname, handlers={"double": double}, channel=connection.channel())
        node.listen(channel=node.channel)
        threads.append(threading.Thread(target=turn, args=(connection,), daemon=True))
        threads[-1].start()

    yield serve
    stop.set()
    for thread in threads:
        thread.join(timeout=PATIENCE)


@pytest.fixture(params=["direct", "fanout"])
def mailbox(request: pytest.FixtureRequest, names: Names) -> Mailbox:
    """A mailbox of either type: fanout is Celery's."""
    return Mailbox(names("control"), type=request.param)


def test_pidbox_call_is_answered_by_the_node_it_names(
    mailbox: Mailbox, serve: Serve, connect: Connect, names: Names
) -> None:
    """And by no other."""
    seen = []
    for word in ("one", "two"):
        serve(mailbox, names(word), seen)
    answers = mailbox(connect()).call([names("one")], "double", {"n": 21}, timeout=5)
    assert answers == [{names("one"): 42}]
    assert seen == [names("one")]


def test_pidbox_multi_call_is_answered_by_every_node(
    mailbox: Mailbox, serve: Serve, connect: Connect, names: Names
) -> None:
    """Two nodes, two answers."""
    seen = []
    for word in ("one", "two"):
        serve(mailbox, names(word), seen)
    answers = mailbox(connect()).multi_call("double", {"n": 1}, timeout=5, limit=2)
    assert sorted(answers, key=repr) == sorted([{names("one"): 2}, {names("two"): 2}], key=repr)


def test_pidbox_calls_one_after_the_other_get_their_own_answers(
    mailbox: Mailbox, serve: Serve, connect: Connect, names: Names
) -> None:
    """The reply queue is used again, and no answer is mistaken for another's."""
    serve(mailbox, names("one"), [])
    caller = mailbox(connect())
    answers = [caller.call([names("one")], "double", {"n": n}, timeout=5) for n in range(3)]
    assert answers == [[{names("one"): n * 2}] for n in range(3)]


def test_pidbox_command_without_an_answer_is_carried_out(
    mailbox: Mailbox, serve: Serve, connect: Connect, names: Names
) -> None:
    """A cast is done before a later call of the same caller is answered."""
    seen = []
    serve(mailbox, names("one"), seen)
    caller = mailbox(connect())
    caller.cast([names("one")], "double", {"n": 1})
    caller.call([names("one")], "double", {"n": 1}, timeout=5)
    assert seen == [names("one"), names("one")]


def test_pidbox_call_without_a_listener_returns_nothing_after_its_timeout(
    mailbox: Mailbox, connect: Connect, names: Names
) -> None:
    """An absent worker is no error."""
    assert not mailbox(connect()).call([names("nobody")], "double", {"n": 1}, timeout=0.5)
