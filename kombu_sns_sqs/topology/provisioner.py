"""Declaring and deleting: makes queues and exchanges where they are missing, and takes them away.

Declaring looks up first, compares only what is ours, and makes only what is absent; on a race it looks up again. With
``topology='validate'`` nothing is made and a difference is an error, with ``'assume'`` nothing is even asked.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import cache

from kombu_sns_sqs.addressing import is_reply_exchange
from kombu_sns_sqs.aws.control import ControlPlane
from kombu_sns_sqs.errors import Kind, NotEquivalent, NotFound, QueueInUse, exception_for
from kombu_sns_sqs.logs import fields
from kombu_sns_sqs.options import Options
from kombu_sns_sqs.redelivery import NO_DEAD_LETTERS
from kombu_sns_sqs.topology.access import Access
from kombu_sns_sqs.topology.binder import Binder
from kombu_sns_sqs.topology.bindings import binding_tag
from kombu_sns_sqs.topology.companions import Companions
from kombu_sns_sqs.topology.differences import differences
from kombu_sns_sqs.topology.directory import Directory
from kombu_sns_sqs.topology.emptying import empty
from kombu_sns_sqs.topology.entities import Lifetime, Queue, QueueDeclaration
from kombu_sns_sqs.topology.exchanges import Exchanges
from kombu_sns_sqs.topology.making import QueueMaker
from kombu_sns_sqs.topology.temporaries import Temporaries
from kombu_sns_sqs.topology.undecided import Undecided

logger = logging.getLogger(__name__)


class Provisioner:
    """Carries out what AMQP declares, binds and deletes, for all connections of one process. Safe for threads."""

    def __init__(
        self,
        *,
        control: ControlPlane,
        directory: Directory,
        exchanges: Exchanges,
        maker: QueueMaker,
        binder: Binder,
        access: Access,
        companions: Companions,
        options: Options,
    ) -> None:
        self._control = control
        self._directory = directory
        self._exchanges = exchanges
        self._maker = maker
        self._binder = binder
        self._access = access
        self._companions = companions
        self._options = options
        self._undecided = Undecided()
        #: Queues that end before this process does, or with it; see :class:`kombu_sns_sqs.janitor.Janitor`.
        self.temporary = Temporaries()

    # -- exchanges -------------------------------------------------------------------------------------------

    def declare_exchange(self, exchange: str, exchange_type: str, *, auto_delete: bool = False) -> None:
        """Make sure that an exchange exists; see :meth:`Exchanges.declare`."""
        if not is_reply_exchange(exchange):
            self._exchanges.declare(exchange, exchange_type, auto_delete=auto_delete)

    def check_exchange(self, exchange: str) -> None:
        """Raise NotFound where an exchange does not exist."""
        if not is_reply_exchange(exchange):
            self._exchanges.check(exchange)

    def delete_exchange(self, exchange: str, *, if_unused: bool = False) -> None:
        """Delete an exchange and all its bindings; one that is missing is no error, as in RabbitMQ."""
        if not exchange or is_reply_exchange(exchange) or self._options.predefined_exchange(exchange) is not None:
            return
        topic = self._exchanges.look_up(exchange)
        if topic is not None:
            self._binder.unbind_all(topic, if_unused=if_unused)
            self.temporary.unbound(exchange)
            self._exchanges.delete(topic)

    # -- declaring queues ------------------------------------------------------------------------------------

    def declare_queue(self, declaration: QueueDeclaration, by: object = None) -> int:
        """Make sure that a queue exists; return how many messages are ready in it, as far as SQS knows.

        ``by``: the connection with which it ends, if it is made for this.
        """
        name, others = declaration.name, ", ".join(declaration.others)
        if others:
            told = fields("arguments_without_effect", queue=name, arguments=declaration.others)
            logger.warning("queue %r: these arguments have no effect on sns-sqs://: %s", name, others, extra=told)
        if declaration.dead_letters.queue is not None and self._options.topology != "assume":
            self.declare_queue(QueueDeclaration(name=declaration.dead_letters.queue))
        own = declaration.lifetime is not Lifetime.SHARED  # Its name is: nobody else can have made it.
        if own and by is not None:
            self.temporary.claim(name, by, unless_claimed=True)
        if name in self.temporary or name in self._undecided:
            return 0
        if own and not declaration.takes_replies:
            # Whether it is bound decides its AWS name, and kombu binds right after declaring: wait for that.
            self._undecided.add(declaration)
            return 0
        if self._options.topology == "assume" or self._options.predefined_queue(name) is not None:
            self._directory.remember_queue(self._as_declared(declaration, self._directory.queue(name)))
            return 0
        queue = None if own else self._directory.known_queue(name) or self._directory.look_up_queue(name)
        attributes = self._attributes(queue, queue.url) if queue is not None else None
        if queue is None or attributes is None:
            self._make(declaration)
            return 0
        self._adopt(declaration, queue, attributes)
        return _ready(attributes)

    def settle_postponed(self, name: str | None = None) -> None:
        """Make the queues whose making was put off because a binding might follow: none did; and see all usable."""
        if self._undecided:
            for one in self._undecided.names() if name is None else [name]:
                with self._undecided.take(one) as declaration:
                    if declaration is not None:
                        self._make(declaration)
        self._maker.newness.wait()

    def let_go(self, by: object) -> set[str]:
        """Note that a connection has ended; give the names of what no other uses. Nothing is made of them any more."""
        names = self.temporary.let_go(by)
        self._undecided.drop(names)
        return names

    def _make(self, declaration: QueueDeclaration) -> None:
        if self._options.topology == "validate" and declaration.lifetime is Lifetime.SHARED:
            raise NotFound(f"NOT_FOUND - no queue {declaration.name!r}, and topology='validate' makes none")
        self.made(declaration, self._maker.make(declaration))

    def made(self, declaration: QueueDeclaration, queue: Queue) -> None:
        """Note that this process has just made a queue, for the first time or again."""
        self._directory.remember_queue(queue)
        if not queue.lasting:
            self.temporary.add(queue, declaration)

    def _adopt(self, declaration: QueueDeclaration, queue: Queue, attributes: dict[str, str]) -> None:
        """Use a queue that exists; say where it differs from its declaration."""
        known = queue.complete
        tags = cache(lambda: self._binder.tags(queue))
        for how in differences(declaration, queue, attributes, tags, known=known):
            self._differs(queue.name, how)
        self._access.policy_is(queue.url, attributes.get("Policy"))
        # It keeps the levels it has: what lies in one that not everybody knows of would be left lying.
        levels = len(queue.urls) if known or declaration.levels == 1 else tags().levels
        as_it_is = replace(declaration, max_priority=levels - 1)
        adopted = replace(
            queue,
            arn=attributes.get("QueueArn", queue.arn),
            urls=queue.urls + self._maker.upper_levels(as_it_is, len(queue.urls)),
            ttl_ms=declaration.ttl_ms,
            lifetime=declaration.lifetime,
        )
        self._directory.remember_queue(self._as_declared(declaration, adopted))

    @staticmethod
    def _as_declared(declaration: QueueDeclaration, queue: Queue) -> Queue:
        """Take over what holds for this process alone; a declaration that says nothing of it changes nothing."""
        silent = declaration.dead_letters == NO_DEAD_LETTERS
        dead_letters = queue.dead_letters if silent else declaration.dead_letters
        lease = declaration.lease_seconds or queue.lease_seconds
        return replace(queue, dead_letters=dead_letters, lease_seconds=lease, complete=True)

    def _differs(self, name: str, how: str) -> None:
        if self._options.topology == "validate":
            raise NotEquivalent(f"PRECONDITION_FAILED - queue {name!r}: {how}")
        told = fields("queue_differs", queue=name, difference=how)
        logger.warning("queue %r differs from its declaration: %s", name, how, extra=told)

    # -- using queues ----------------------------------------------------------------------------------------

    def queue_to_consume(self, name: str, by: object = None) -> Queue:
        """Give a queue with all there is to know for receiving from it.

        ``by``: the connection that will consume from it for longer than for one message.

        Raises:
            NotFound: there is no such queue.
        """
        if by is not None and (name in self._undecided or name in self.temporary):
            self.temporary.claim(name, by)
        self.settle_postponed(name)
        return self.complete(self._directory.queue(name))

    def complete(self, queue: Queue) -> Queue:
        """Find out what only the tags of a queue tell: its priority levels and its TTL."""
        if queue.complete or queue.lifetime is not Lifetime.SHARED or self._options.topology == "assume":
            return queue
        tags = self._binder.tags(queue)
        names = (self._directory.aws_queue_name(queue.name, level) for level in range(1, tags.levels))
        upper = [url for url in map(self._directory.url_of, names) if url is not None]
        urls = (queue.url, *upper)
        completed = replace(queue, urls=urls, ttl_ms=tags.ttl_ms, dead_letters=tags.dead_letters, complete=True)
        self._directory.remember_queue(completed)
        return completed

    def bind(self, name: str, exchange: str, routing_key: str) -> None:
        """Bind a queue to an exchange; on return it receives.

        Raises:
            NotFound: queue or exchange does not exist.
        """
        if not exchange or is_reply_exchange(exchange):
            self.settle_postponed(name)
            return
        tags = None
        with self._undecided.take(name) as declaration:
            if declaration is not None:
                self._exchanges.get(exchange)
                tags = dict([binding_tag(exchange, routing_key)])
                self.made(declaration, self._maker.make_private(declaration, tags))
        if tags is None:
            self._maker.newness.wait()
        self._binder.bind(self._directory.queue(name), exchange, routing_key, born_with=tags)
        self.temporary.bound(name, exchange, routing_key)

    def unbind(self, name: str, exchange: str, routing_key: str) -> None:
        """Take a binding away; one that is missing is no error, as in RabbitMQ."""
        self.settle_postponed(name)
        queue = self._directory.find_queue(name)
        if queue is not None and exchange and not is_reply_exchange(exchange):
            self.temporary.unbound(exchange, name=name, routing_key=routing_key)
            self._binder.unbind(queue, exchange, routing_key)

    def count(self, name: str) -> int:
        """Count the messages that are ready in a queue, as far as SQS knows.

        Raises:
            NotFound: there is no such queue.
        """
        self.settle_postponed(name)
        queue = self._directory.known_queue(name) or self._directory.look_up_queue(name)
        counts = [] if queue is None else [self._attributes(queue, url) for url in self.complete(queue).urls]
        if not counts or None in counts:
            raise NotFound(f"NOT_FOUND - no queue {name!r}")
        return sum(_ready(attributes) for attributes in counts if attributes is not None)

    def purge(self, name: str) -> int:
        """Remove all ready messages, and what is scheduled; return how many were ready, as far as SQS knows."""
        count = self.count(name)
        queue = self._directory.queue(name)
        self._companions.purge(queue)
        for url in queue.urls:
            empty(self._control, queue.identity, url)
        return count

    # -- deleting queues -------------------------------------------------------------------------------------

    def delete_queue(self, name: str, *, if_empty: bool = False) -> int:
        """Delete a queue, its levels and its subscriptions; return how many messages went with it.

        Raises:
            QueueInUse: ``if_empty``, and it is not.
        """
        try:
            count = self.count(name)
        except NotFound:
            count = 0
        queue = self._directory.known_queue(name)
        if queue is None:
            return 0
        if queue.lifetime is Lifetime.PREDEFINED:
            return 0
        if if_empty and count:
            raise QueueInUse(f"PRECONDITION_FAILED - queue {name!r} is not empty")
        self.remove(queue)
        return count

    def remove(self, queue: Queue) -> None:
        """Delete what stands for a queue; what is gone already is no error."""
        self.temporary.leave(queue)
        self._binder.unsubscribe_all(queue)
        for url in self.complete(queue).urls:
            reply = self._control.call(queue.identity, "sqs", "delete_queue", QueueUrl=url)
            if reply.failure is not None and reply.failure.kind is not Kind.MISSING:
                raise exception_for(reply.failure)
        self._companions.delete(queue)
        self._directory.queue_is_gone(queue.name, queue.url)
        self.temporary.discard(queue)

    def _attributes(self, queue: Queue, url: str) -> dict[str, str] | None:
        """Read the attributes of a queue; None of one that is gone."""
        reply = self._control.call(queue.identity, "sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=["All"])
        if reply.failure is None:
            return dict(reply.value.get("Attributes") or {})
        if reply.failure.kind is not Kind.MISSING:
            raise exception_for(reply.failure)
        self._directory.forget_queue(queue.name)
        return None


def _ready(attributes: dict[str, str]) -> int:
    return int(attributes.get("ApproximateNumberOfMessages") or 0)
