"""The reply queues of a channel: as pidbox asks for them, and what is made of that."""

from __future__ import annotations

import os
import pickle
import threading
import zlib
from typing import Any
from uuid import uuid4

import pytest

from kombu_sns_sqs.replies import Mailboxes, Replies, _calls, asked
from kombu_sns_sqs.topology.entities import QueueDeclaration
from kombu_sns_sqs.topology.knowledge import KnownBindings


class Process:
    """One process: what was declared, and what each queue is answered to."""

    def __init__(self, rest: float = 100.0) -> None:
        self.declared: list[str] = []
        self.known: dict[str, KnownBindings] = {}
        self._mailboxes = Mailboxes(bindings=lambda name: self.known.setdefault(name, KnownBindings()), rest=rest)

    def channel(self) -> Replies:
        """Open a channel."""
        return Replies(mailboxes=self._mailboxes, declare=self._declare)

    def _declare(self, declaration: QueueDeclaration) -> int:
        self.declared.append(declaration.name)
        return 0

    def expects(self, queue: str) -> str | None:
        """The key that answers in a queue must have."""
        return self.known[queue].answers_to


class Call:
    """One call of pidbox, as kombu makes it."""

    def __init__(self, channel: Replies, namespace: str = "celery", *, auto_delete: bool = True) -> None:
        self._channel = channel
        self._auto_delete = auto_delete
        self._exchange = f"{namespace}.pidbox"
        self.key = str(uuid4())
        self.name = f"{self.key}.reply.{namespace}.pidbox"
        self.queue = ""

    def declare(self) -> Call:
        """As it is done before publishing, and again before consuming."""
        self._channel.declare(QueueDeclaration(name=self.name, exclusive=True, auto_delete=self._auto_delete))
        return self

    def publish(self, body: Any = None) -> Any:
        """Publish the command, and return it as it leaves."""
        body = f'{{"reply_to": "{self.key}"}}' if body is None else body
        return asked({"body": body, "headers": {"a": 1}}, self._exchange)["body"]

    def collect(self) -> str:
        """Begin to consume; return the queue."""
        self.declare()
        self.queue = self._channel.collecting(self.name)
        return self.queue

    def end(self) -> None:
        """Say that there will be no more answers."""
        self._channel.answered(self.name)


def made(channel: Replies, namespace: str = "celery") -> tuple[str, str]:
    """Make a whole call; return its queue, and the key it was published with."""
    call = Call(channel, namespace).declare()
    body = call.publish()
    queue = call.collect()
    call.end()
    return queue, body[14:50]


@pytest.fixture
def process() -> Process:
    """A process."""
    return Process()


def test_the_calls_of_a_channel_share_a_queue_and_each_has_its_key(process: Process) -> None:
    """Whatever kombu names their queues."""
    channel = process.channel()
    queues, keys = zip(*[made(channel) for _ in range(50)], strict=True)
    assert len(set(queues)) == 1
    assert len(set(keys)) == 50
    assert set(process.declared) == set(queues)
    assert process.expects(queues[0]) == keys[-1]


def test_the_key_of_a_call_stays_until_its_end(process: Process) -> None:
    """Though kombu declares its queue again when it begins to consume."""
    call = Call(process.channel()).declare()
    body = call.publish()
    assert process.expects(call.collect()) in body


def test_a_command_that_is_published_anew_is_the_same_call(process: Process) -> None:
    """Kombu does that when it does not know whether the first is there."""
    channel = process.channel()
    call = Call(channel).declare()
    assert call.publish() == call.publish()
    first = call.collect()
    call.end()
    assert made(channel)[0] == first


def test_a_call_made_from_within_another_has_a_queue_of_its_own(process: Process) -> None:
    """And the outer one goes on."""
    channel = process.channel()
    outer = Call(channel).declare()
    body = outer.publish()
    first = outer.collect()
    second, _ = made(channel)
    assert second != first
    assert process.expects(first) in body
    outer.end()
    assert {made(channel)[0] for _ in range(3)} == {first}


def test_calls_of_one_name_within_each_other_end_when_both_have(process: Process) -> None:
    """A mailbox of plain kombu gives its calls one name."""
    channel = process.channel()
    call = Call(channel).declare()
    first = call.publish()
    call.collect()
    call.declare()
    assert call.publish() == first
    call.collect()
    call.end()
    assert process.expects(call.queue) in first
    assert made(channel)[0] != call.queue
    call.end()
    assert made(channel)[0] == call.queue


def test_the_command_may_be_published_on_another_channel(process: Process) -> None:
    """Celery's goes through its pool of producers."""
    call = Call(process.channel()).declare()
    process.channel()
    assert process.expects(call.collect()) in call.publish()


def test_two_channels_never_share_a_queue(process: Process) -> None:
    """A poll that the one has left open would take the answers to the other."""
    one, other = process.channel(), process.channel()
    assert made(one)[0] != made(other)[0]
    one.close()
    assert made(process.channel())[0] not in process.declared[:1]


def test_a_queue_is_used_again_when_the_polls_of_its_channel_have_ended() -> None:
    """So that a process that opens a channel for each call has a few queues, not one for each."""
    process = Process(rest=0)
    queues = set()
    for _ in range(5):
        channel = process.channel()
        queues.add(made(channel)[0])
        channel.close()
    assert len(queues) == 1


def test_two_namespaces_have_a_queue_each(process: Process) -> None:
    """The reply exchange is a part of the name."""
    channel = process.channel()
    assert made(channel, "one")[0].endswith(".reply.one.pidbox")
    assert made(channel, "two")[0].endswith(".reply.two.pidbox")


@pytest.mark.parametrize("dumps", [pickle.dumps, lambda text: text.encode()], ids=["pickle", "bytes"])
def test_a_key_is_replaced_however_the_command_is_written(process: Process, dumps: Any) -> None:
    """It keeps its length, so that lengths within are still right."""
    call = Call(process.channel()).declare()
    body = call.publish(dumps(call.key))
    expected = process.expects(call.collect())
    assert expected is not None
    assert body == dumps(expected)


def test_a_command_that_does_not_show_its_key_is_answered_to_kombus_queue(process: Process) -> None:
    """Made before the command is published; the next call goes on as ever."""
    channel = process.channel()
    call = Call(channel).declare()
    hidden = zlib.compress(call.key.encode())
    assert call.publish(hidden) == hidden
    assert process.declared[-1] == call.name
    assert call.collect() == call.name
    call.end()
    assert made(channel)[0] != call.name


def test_a_queue_that_kombu_declares_once_is_there_for_every_call(process: Process) -> None:
    """As it does where reply queues are durable and an earlier call has had the name."""
    channel = process.channel()
    call = Call(channel, auto_delete=False).declare()
    bodies = set()
    for _ in range(3):
        body = call.publish()
        assert process.expects(channel.collecting(call.name)) in body
        bodies.add(body)
        call.end()
        made(channel)
    assert len(bodies) == 3
    assert call.key not in str(bodies)


def test_a_call_of_another_thread_does_not_disturb_one_that_is_about_to_begin(process: Process) -> None:
    """Its command has another key."""
    waiting = Call(process.channel()).declare()
    thread = threading.Thread(target=made, args=(process.channel(),))
    thread.start()
    thread.join()
    assert waiting.name not in process.declared
    assert process.expects(waiting.collect()) in waiting.publish()


def test_a_command_looks_at_no_call_but_its_own(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of another thread may end at any moment, and have no mailbox then."""
    other, own = Call(process.channel()).declare(), Call(process.channel()).declare()

    class Gone:
        @property
        def key(self) -> str:
            raise AssertionError("it has ended in another thread")

    monkeypatch.setattr(_calls[other.name], "mailbox", Gone())
    body = own.publish()
    assert process.expects(own.collect()) in body


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_knows_no_call_of_its_parents(process: Process) -> None:
    """Which may be made by a thread that the child has not got; the queue is the parent's."""
    call = Call(process.channel()).declare()
    if not (child := os.fork()):
        os._exit(0 if call.key in call.publish() else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert call.key not in call.publish()


def test_other_messages_and_queues_are_left_alone(process: Process) -> None:
    """Also while a call is under way."""
    channel = process.channel()
    call = Call(channel).declare()
    call.publish()
    call.collect()
    message = {"body": call.key}
    assert asked(message, "celery") is message
    assert asked(message, "") is message
    assert channel.collecting("celery") == "celery"
    channel.declare(QueueDeclaration(name="celery"))
    assert process.declared[-1] == "celery"
    channel.answered("celery")
