"""The reply queues of remote control, of which a channel needs one for all its calls.

Kombu's pidbox makes up a key for each call, of its thread and of an object that lives as long as the call, and declares
a queue of that name: a process that asks all day, as Flower does, has a new queue for every other call. On RabbitMQ
that goes with the call. SQS takes its time to make one, and wants each deleted. So the calls of a channel share one,
and more only where one is made from within another; the key in the command is replaced by one that names this queue
and the call (:mod:`kombu_sns_sqs.reply_keys`), and what comes in answer to an earlier call is dropped.
"""

from __future__ import annotations

import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from kombu.transport.base import StdChannel

from kombu_sns_sqs.reply_keys import TOKEN_DIGITS, reply_key
from kombu_sns_sqs.topology.entities import QueueDeclaration
from kombu_sns_sqs.topology.knowledge import KnownBindings


@dataclass(slots=True, eq=False)
class _Mailbox:
    """A queue that takes replies, of one call at a time."""

    token: str
    exchange: str
    calls: int = 0

    @property
    def queue(self) -> str:
        return f"{reply_key(self.token)}.{self.exchange}"

    @property
    def key(self) -> str:
        return reply_key(self.token, self.calls)


class Mailboxes:
    """The reply queues of one process that no channel has. Safe for threads.

    Args:
        bindings: what is known of a queue's bindings.
        rest: seconds after which a closed channel's polls have ended, and take no more.
    """

    def __init__(self, *, bindings: Callable[[str], KnownBindings], rest: float) -> None:
        self._bindings = bindings
        self._rest = rest
        self._lock = threading.Lock()
        self._free: list[tuple[float, _Mailbox]] = []

    def take(self, exchange: str) -> _Mailbox:
        """Give one that is free, or a new one."""
        with self._lock:
            for position, (since, mailbox) in enumerate(self._free):
                if mailbox.exchange == exchange and since + self._rest <= time.monotonic():
                    del self._free[position]
                    return mailbox
        return _Mailbox(token=secrets.token_hex(TOKEN_DIGITS // 2), exchange=exchange)

    def give_back(self, mailboxes: list[_Mailbox]) -> None:
        """Take those of a channel that is closed."""
        with self._lock:
            self._free += [(time.monotonic(), mailbox) for mailbox in mailboxes]

    def expect(self, mailbox: _Mailbox) -> None:
        """Begin a new call: answers to those before it are nobody's."""
        mailbox.calls += 1
        self._bindings(mailbox.queue).answers_to = mailbox.key


@dataclass(slots=True, eq=False)
class _Call:
    """What stands behind a reply queue that kombu has declared.

    Args:
        mailbox: None where the command does not show the key, so that the queue is kombu's own.
        owner: the replies of the channel that declared it; Celery publishes the command on another.
        asked: commands that wait for answers to it: more than one where an answer makes the application ask again.
        collecting: whether answers to the last of them are being collected.
        ended: whether nobody waits for answers; a queue that is not auto-delete is not declared for the next call.
    """

    declaration: QueueDeclaration
    mailbox: _Mailbox | None
    owner: Replies
    asked: int = 0
    collecting: bool = False
    ended: bool = False
    thread: int = field(default_factory=threading.get_ident)

    @property
    def queue(self) -> str:
        return self.declaration.name if self.mailbox is None else self.mailbox.queue

    @property
    def parts(self) -> tuple[str, str]:
        """The key that kombu has made up, and the reply exchange."""
        key, _, exchange = self.declaration.name.partition(".")
        return key, exchange


_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
#: The calls of this process that are under way, by the name that kombu gave to the reply queue: a UUID is in it.
_calls: Final[dict[str, _Call]] = {}


class Replies:
    """The reply queues of one channel, used by its thread.

    Args:
        mailboxes: those of the process.
        declare: makes a queue.
    """

    def __init__(self, *, mailboxes: Mailboxes, declare: Callable[[QueueDeclaration], int]) -> None:
        self._mailboxes = mailboxes
        self._declare = declare
        self._free: list[_Mailbox] = []

    def declare(self, declaration: QueueDeclaration) -> int:
        """Declare a queue; one that takes replies is kept for the next call."""
        if not declaration.takes_replies:
            return self._declare(declaration)
        call = _calls.get(declaration.name)
        if call is None or call.owner is not self:
            call = _calls[declaration.name] = _Call(declaration, None, self, ended=True)
        return self.begin(call)

    def begin(self, call: _Call) -> int:
        """Make sure that there is a queue for the answers to a call."""
        if call.ended:
            call.mailbox = self._take(call.parts[1])
            self._mailboxes.expect(call.mailbox)
            call.ended = False
        return self._declare(replace(call.declaration, name=call.queue))

    def _take(self, exchange: str) -> _Mailbox:
        for mailbox in reversed(self._free):  # The last one used may still have a poll open.
            if mailbox.exchange == exchange:
                self._free.remove(mailbox)
                return mailbox
        return self._mailboxes.take(exchange)

    def collecting(self, name: str) -> str:
        """Note that a queue is about to be consumed from, and give the one that stands behind its name."""
        call = _calls.get(name)
        if call is None or call.owner is not self:
            return name
        call.collecting = True
        return call.queue

    def answered(self, name: str) -> None:
        """Note that a call has all the answers it will have."""
        call = _calls.get(name)
        if call is None or call.owner is not self:
            return
        call.asked -= 1
        if call.asked <= 0:
            if call.mailbox is not None:
                self._free.append(call.mailbox)
            call.ended, call.asked, call.mailbox = True, 0, None
            if call.declaration.auto_delete:
                del _calls[name]

    def published(self, call: _Call) -> _Mailbox | None:
        """Note that the command of a call is published; give what takes its answers, None: the queue kombu named."""
        if call.ended:
            self.begin(call)
        if call.mailbox is not None and (call.collecting or not call.asked):
            # Published anew, for want of an answer of AWS's, it is the same call.
            call.asked += 1
            call.collecting = False
        return call.mailbox

    def shows_no_key(self, call: _Call) -> None:
        """Make the queue that kombu named, since the key in a command cannot be replaced: compressed, or signed."""
        if call.mailbox is not None:
            self._free.append(call.mailbox)
            call.mailbox = None
            self._declare(call.declaration)

    def close(self) -> None:
        """Leave the queues to other channels of the process."""
        for name, call in list(_calls.items()):
            if call.owner is self:
                del _calls[name]
                if call.mailbox is not None:
                    self._free.append(call.mailbox)
        self._mailboxes.give_back(self._free)
        self._free = []


def asked(message: Mapping[str, Any], exchange: str) -> Mapping[str, Any]:
    """Have a command answered to the mailbox of its call, if it is one: gives the message to publish."""
    if not _calls or not exchange.endswith(".pidbox"):
        return message
    body = message["body"]
    for key in _uuids(body):
        if (call := _calls.get(f"{key}.reply.{exchange}")) is not None:
            mailbox = call.owner.published(call)
            return message if mailbox is None else {**message, "body": _replaced(body, key, mailbox.key)}
    thread = threading.get_ident()
    for call in list(_calls.values()):
        if call.thread == thread and call.parts[1] == f"reply.{exchange}" and not (call.ended or call.asked):
            call.owner.shows_no_key(call)
    return message


def _uuids(body: Any) -> list[str]:
    """Find what may be the key of a call in a message as it was serialized."""
    text = body.decode("latin-1") if isinstance(body, bytes) else body
    return _UUID.findall(text) if isinstance(text, str) else []


def _replaced(body: str | bytes, key: str, by: str) -> str | bytes:
    return body.replace(key, by) if isinstance(body, str) else body.replace(key.encode(), by.encode())


class WithReplies(StdChannel):
    """The part of a channel that pidbox tells when a call has ended."""

    _replies: Replies

    def after_reply_message_received(self, queue: str) -> None:
        """Keep the reply queue of a call for the next one."""
        self._replies.answered(queue)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_calls.clear)
