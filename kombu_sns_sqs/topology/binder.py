"""Bindings: a subscription of the queue to the topic, and a tag of the queue for each key.

The tag is written before any filter policy, and is the truth: filters are derived from it, and what a filter lets pass
is matched against it on receipt.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from kombu_sns_sqs.aws.control import ControlPlane
from kombu_sns_sqs.errors import Kind, NotEquivalent, NotFound, QueueInUse, exception_for
from kombu_sns_sqs.options import Options
from kombu_sns_sqs.topology.access import Access
from kombu_sns_sqs.topology.bindings import binding_tag
from kombu_sns_sqs.topology.directory import Directory
from kombu_sns_sqs.topology.entities import NAME_TAG, Lifetime, Queue, Topic
from kombu_sns_sqs.topology.exchanges import Exchanges
from kombu_sns_sqs.topology.filtering import Filtering
from kombu_sns_sqs.topology.knowledge import KnownBindings
from kombu_sns_sqs.topology.levels import pack_ids
from kombu_sns_sqs.topology.subscriptions import Subscriptions
from kombu_sns_sqs.topology.tags import QueueTags, subscription_tag, unnamed_key_tag, upper_tag

#: Queues of one page of ListQueues.
_PAGE = 1000


class Binder:
    """Binds and unbinds, for all connections of one process. Safe for threads."""

    def __init__(
        self,
        *,
        control: ControlPlane,
        directory: Directory,
        exchanges: Exchanges,
        subscriptions: Subscriptions,
        filtering: Filtering,
        access: Access,
        options: Options,
    ) -> None:
        self._control = control
        self._directory = directory
        self._exchanges = exchanges
        self._subscriptions = subscriptions
        self._filtering = filtering
        self._access = access
        self._options = options
        self._lock = threading.Lock()
        self._new: dict[str, dict[str, str]] = {}

    def is_new(self, queue: Queue, binding_tags: dict[str, str]) -> None:
        """Note that this process has just made a queue: its binding tags are known, and SNS is let in."""
        with self._lock:
            self._new[queue.name] = binding_tags

    # -- binding ---------------------------------------------------------------------------------------------

    def bind(self, queue: Queue, exchange: str, routing_key: str) -> None:
        """Bind; on return the queue receives.

        Raises:
            NotFound: the exchange does not exist.
            NotEquivalent: a FIFO exchange and a queue that is not, or an access policy that cannot be opened.
        """
        if self._options.topology == "assume":
            # Nothing may be asked, so what is bound is not known for certain: deliver everything.
            self._directory.bindings(queue.name).add(exchange, "fanout", None)
            return
        topic = self._exchanges.get(exchange)
        if topic.fifo and not queue.fifo:
            raise NotEquivalent(
                f"exchange {exchange!r} is FIFO: queue {queue.name!r} has to be too, '{queue.name}.fifo'"
            )
        with self._lock:
            born_with = self._new.pop(queue.name, None)
        if born_with is None:
            self._access.open(queue)
        with self._filtering.turn:
            subscriptions = self._subscribe(queue, topic, routing_key, born_with)
        self._directory.bindings(queue.name).add(exchange, topic.type, routing_key, levels=len(subscriptions))
        self._filtering.narrow_when_quiet(queue, topic, subscriptions)

    def _subscribe(
        self, queue: Queue, topic: Topic, routing_key: str, born_with: Mapping[str, str] | None
    ) -> list[str]:
        tags = self.tags(queue) if born_with is None else QueueTags(tags=born_with)
        # Where the lowest level has been bound alone, it stays so: what it has received would be taken for a copy.
        checked = self._subscriptions.check(topic, self._subscriptions.find(queue, topic, tags))
        if not checked:
            checked = [None] * (self._open_levels(queue, tags.levels) if born_with is None else len(queue.urls))
        subscriptions = self._subscriptions.assure(queue, topic, checked, known=born_with is not None)
        arns = [subscription.arn for subscription in subscriptions]
        self._write_tags(queue, topic, routing_key, arns, tags)
        self._subscriptions.remember(queue, topic, arns)
        self._filtering.widen(queue, topic, subscriptions)
        return arns

    def _open_levels(self, queue: Queue, levels: int) -> int:
        """Let SNS deliver to the upper levels of a queue, and return how many levels there are in all."""
        if queue.lifetime is Lifetime.PREDEFINED:
            return 1
        for level in range(1, levels):
            aws_name = self._directory.level_name(queue, level)
            url = queue.urls[level] if level < len(queue.urls) else self._directory.url_of(aws_name)
            if url is None:
                return level
            self._access.open(replace(queue, name=aws_name, urls=(url,), arn=self._directory.queue_arn(aws_name)))
        return levels

    def _write_tags(
        self, queue: Queue, topic: Topic, routing_key: str, subscriptions: Sequence[str], tags: QueueTags
    ) -> None:
        lowest, *upper = subscriptions
        key, value = binding_tag(topic.exchange, routing_key)
        if key not in tags.tags and tags.full:
            key, value = unnamed_key_tag(topic.exchange)
        missing = {} if key in tags.tags else {key: value}
        if queue.lasting and tags.subscription(topic.exchange) != lowest:
            missing[subscription_tag(topic.exchange)] = lowest
        if upper and tags.tags.get(upper_tag(topic.exchange)) != pack_ids(upper):
            missing[upper_tag(topic.exchange)] = pack_ids(upper)
        if missing:
            self._control.ask(queue.identity, "sqs", "tag_queue", QueueUrl=queue.url, Tags=missing)

    # -- unbinding -------------------------------------------------------------------------------------------

    def unbind(self, queue: Queue, exchange: str, routing_key: str) -> None:
        """Take one binding away, and the subscription with the last."""
        topic = self._exchanges.get(exchange)
        self._directory.bindings(queue.name).remove(exchange, routing_key)
        key, _ = binding_tag(exchange, routing_key)
        tags = self.tags(queue)
        last = not any(tag != key for tag, _ in tags.bindings_to(exchange))
        subscriptions = self._subscriptions.find(queue, topic, tags)
        if last:
            # The lowest level's first: while it is there, the tags promise that the others are.
            for subscription in subscriptions:
                self._subscriptions.remove(topic.identity, subscription)
            self._subscriptions.forget(queue=queue.name, exchange=exchange)
        gone = [key, *_subscription_tags(exchange)] if last else [key]
        self._control.ask(queue.identity, "sqs", "untag_queue", QueueUrl=queue.url, TagKeys=gone)
        if not last:
            self._filtering.narrow(queue, topic, subscriptions)

    def unbind_all(self, topic: Topic, *, if_unused: bool) -> None:
        """Remove what the queues keep of an exchange that is about to be deleted.

        Raises:
            QueueInUse: ``if_unused``, and there are bindings.
        """
        bound = self._subscriptions.of_topic(topic)
        if bound and if_unused:
            raise QueueInUse(f"PRECONDITION_FAILED - exchange {topic.exchange!r} has bindings")
        for queue_arn, _ in bound:
            url = self._directory.url_of(queue_arn.rpartition(":")[2])
            gone = (
                [key for key, binding in self._read(url).bindings if binding.exchange == topic.exchange] if url else []
            )
            if gone:
                keys = [*gone, *_subscription_tags(topic.exchange)]
                self._control.ask(self._options.identity, "sqs", "untag_queue", QueueUrl=url, TagKeys=keys)
        for queue, _ in self._subscriptions.forget(exchange=topic.exchange):
            self._directory.bindings(queue).forget(topic.exchange)

    def unsubscribe_all(self, queue: Queue) -> None:
        """Remove the subscriptions of a queue that is about to be deleted: SNS keeps them otherwise."""
        known = self._subscriptions.forget(queue=queue.name).values()
        subscriptions = [arn for arns in known for arn in arns]
        if queue.lifetime is Lifetime.SHARED:
            subscriptions += self.tags(queue).subscriptions
        for arn in dict.fromkeys(subscriptions):
            self._subscriptions.remove(queue.identity, arn)
        self._access.forget(queue)
        for level in range(1, len(queue.urls)):
            self._access.forget(replace(queue, name=self._directory.level_name(queue, level)))
        with self._lock:
            self._new.pop(queue.name, None)

    # -- reading ---------------------------------------------------------------------------------------------

    def tags(self, queue: Queue) -> QueueTags:
        """Read the tags of a queue; none of a queue that is gone."""
        return self._read(queue.url)

    def _read(self, url: str) -> QueueTags:
        reply = self._control.call(self._options.identity, "sqs", "list_queue_tags", QueueUrl=url)
        if reply.failure is not None and reply.failure.kind is not Kind.MISSING:
            raise exception_for(reply.failure)
        tags = {} if reply.failure is not None else reply.value.get("Tags") or {}
        return QueueTags(tags=tags, as_of=float("-inf") if reply.date is None else reply.date)

    def refresh(self, queue: Queue) -> KnownBindings:
        """Read the bindings of a queue again."""
        read_at = time.monotonic()
        tags = self.tags(queue)
        known = self._directory.bindings(queue.name)
        types = {exchange: self._type(exchange) for exchange in tags.exchanges}
        bindings = [binding for _, binding in tags.bindings]
        complete = all(binding.exchange is not None for binding in bindings)
        known.replace(
            [(b.exchange, types[b.exchange], b.routing_key) for b in bindings if b.exchange is not None],
            as_of=tags.as_of if complete else float("-inf"),
            read_at=read_at if complete else float("-inf"),
            levels={exchange: 1 + len(tags.upper_ids(exchange)) for exchange in types},
        )
        return known

    def _type(self, exchange: str) -> str:
        try:
            return self._exchanges.get(exchange).type
        except NotFound:
            return "direct"

    def list_bindings(self) -> Iterator[dict[str, str]]:
        """List the bindings of all queues under the name prefix: the pages of ListQueues, and a call for each queue."""
        prefix = self._options.queue_name_prefix
        urls = self._control.pages(
            self._options.identity, "sqs", "list_queues", "QueueUrls", QueueNamePrefix=prefix, MaxResults=_PAGE
        )
        for url in urls:
            tags = self._read(url)
            for _, binding in tags.bindings:
                yield {
                    "destination": tags.tags.get(NAME_TAG, ""),
                    "source": binding.exchange or "",
                    "routing_key": binding.routing_key or "",
                }


def _subscription_tags(exchange: str) -> list[str]:
    return [subscription_tag(exchange), upper_tag(exchange)]
