"""Bindings: a subscription of the queue to the topic, and a tag of the queue for each key.

The tag is written before any filter policy, and is the truth: filters are derived from it, and what a filter lets pass
is matched against it on receipt.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

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
from kombu_sns_sqs.topology.subscriptions import Subscription, Subscriptions
from kombu_sns_sqs.topology.tags import QueueTags, subscription_tag, unnamed_key_tag, upper_tag

#: Queues of one page of ListQueues.
_PAGE: Final = 1000
#: Rounds in which somebody takes away the subscriptions that are being made, before it is left at that.
_ROUNDS: Final = 5


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

    # -- binding ---------------------------------------------------------------------------------------------

    def bind(
        self, queue: Queue, exchange: str, routing_key: str, *, born_with: Mapping[str, str] | None = None
    ) -> None:
        """Bind; on return the queue receives.

        ``born_with``: the binding tags of a queue that was made with them a moment ago, and that nobody else can bind.

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
        self._access.open(queue, topic)
        with self._filtering.turn:
            subscriptions = self._subscribe(queue, topic, routing_key, born_with)
        self._directory.bindings(queue.name).add(exchange, topic.type, routing_key, levels=len(subscriptions))
        self._filtering.narrow_when_quiet(queue, topic, subscriptions)

    def _subscribe(
        self, queue: Queue, topic: Topic, routing_key: str | None, born_with: Mapping[str, str] | None = None
    ) -> list[str]:
        """Make sure of tag and subscriptions; a key of None: of a binding that has its tag.

        The subscriptions are looked at when the tag is there, and never only before: whoever takes them away with the
        last binding, or narrows their filters, looks at the tags when that is done. So one of the two sees the other.
        """
        tags = self.tags(queue) if born_with is None else QueueTags(tags=born_with)
        arns = self._subscriptions.find(queue, topic, tags) or self._make(queue, topic, tags, [])
        checked: list[Subscription | None] = []
        for _ in range(_ROUNDS):
            tags = self._write_tags(queue, topic, routing_key, arns, tags)
            if born_with is not None:
                break
            checked = self._subscriptions.check(topic, arns)
            again = arns if checked and all(checked) else self._make(queue, topic, tags, checked)
            if again == arns:  # What SNS gives a second time is there, though not all its servers may know it yet.
                break
            arns = again
        self._subscriptions.remember(queue, topic, arns)
        self._filtering.widen(queue, topic, routing_key, [one for one in checked if one is not None])
        return arns

    def _make(self, queue: Queue, topic: Topic, tags: QueueTags, checked: Sequence[Subscription | None]) -> list[str]:
        """Make the subscriptions that are missing, of each level where that of the lowest is; give the ARNs of all.

        Where the lowest level has been bound alone, it stays so: what it has received would be taken for a copy.
        """
        return self._subscriptions.assure(queue, topic, checked or [None] * self._open_levels(queue, topic, tags))

    def _open_levels(self, queue: Queue, topic: Topic, tags: QueueTags) -> int:
        """Let SNS deliver to the upper levels of a queue, and return how many levels there are in all."""
        if queue.lifetime is Lifetime.PREDEFINED:
            return 1
        levels = tags.levels if queue.lasting else len(queue.urls)
        for level in range(1, levels):
            aws_name = self._directory.level_name(queue, level)
            url = queue.urls[level] if level < len(queue.urls) else self._directory.url_of(aws_name)
            if url is None:
                return level
            self._access.open(replace(queue, urls=(url,), arn=self._directory.queue_arn(aws_name)), topic)
        return levels

    def _write_tags(
        self, queue: Queue, topic: Topic, routing_key: str | None, subscriptions: Sequence[str], tags: QueueTags
    ) -> QueueTags:
        """Write what is missing of a binding's tags, and give the tags as they are now."""
        lowest, *upper = subscriptions
        missing: dict[str, str] = {}
        if routing_key is not None:
            key, value = binding_tag(topic.exchange, routing_key)
            if key not in tags.tags and tags.full:
                key, value = unnamed_key_tag(topic.exchange)
            missing = {} if key in tags.tags else {key: value}
        if queue.lasting and tags.subscription(topic.exchange) != lowest:
            missing[subscription_tag(topic.exchange)] = lowest
        if upper and tags.tags.get(upper_tag(topic.exchange)) != pack_ids(upper):
            missing[upper_tag(topic.exchange)] = pack_ids(upper)
        if not missing:
            return tags
        self._control.ask(queue.identity, "sqs", "tag_queue", QueueUrl=queue.url, Tags=missing)
        return replace(tags, tags={**tags.tags, **missing})

    def is_bound(self, queue: Queue, exchange: str) -> bool:
        """Whether this process has subscribed a queue to an exchange."""
        return self._subscriptions.has(queue.name, exchange)

    # -- unbinding -------------------------------------------------------------------------------------------

    def unbind(self, queue: Queue, exchange: str, routing_key: str) -> None:
        """Take one binding away, and the subscription with the last."""
        topic = self._exchanges.get(exchange)
        self._directory.bindings(queue.name).remove(exchange, routing_key)
        key, _ = binding_tag(exchange, routing_key)
        with self._filtering.turn:
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
            if last and self.tags(queue).bindings_to(exchange):
                # Another process has bound meanwhile, and may have relied on the subscription that is gone.
                subscriptions, last = self._subscribe(queue, topic, None), False
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
            tags = self._read(url) if url else None
            gone = [key for key, binding in tags.bindings if binding.exchange == topic.exchange] if tags else []
            if gone:
                keys = [*gone, *_subscription_tags(topic.exchange)]
                self._control.ask(self._options.identity, "sqs", "untag_queue", QueueUrl=url, TagKeys=keys)
        for queue, _ in self._subscriptions.forget(exchange=topic.exchange):
            self._directory.bindings(queue).forget(topic.exchange)

    def unsubscribe_all(self, queue: Queue) -> None:
        """Remove the subscriptions of a queue that is about to be deleted: SNS keeps them otherwise."""
        subscriptions = self._subscriptions.known(queue.name)
        if queue.lifetime is Lifetime.SHARED:
            subscriptions += self.tags(queue).subscriptions
        for arn in dict.fromkeys(subscriptions):
            self._subscriptions.remove(self._directory.topic_identity(arn.rpartition(":")[0]), arn)
        self._subscriptions.forget(queue=queue.name)
        self._access.forget(queue)

    # -- reading ---------------------------------------------------------------------------------------------

    def tags(self, queue: Queue) -> QueueTags:
        """Read the tags of a queue; none of a queue that is gone."""
        return self._read(queue.url) or QueueTags(tags={})

    def _read(self, url: str) -> QueueTags | None:
        reply = self._control.call(self._options.identity, "sqs", "list_queue_tags", QueueUrl=url)
        if reply.failure is None:
            as_of = float("-inf") if reply.date is None else reply.date
            return QueueTags(tags=reply.value.get("Tags") or {}, as_of=as_of)
        if reply.failure.kind is not Kind.MISSING:
            raise exception_for(reply.failure)
        return None

    def refresh(self, queue: Queue) -> KnownBindings:
        """Read the bindings of a queue again; those of a queue that is gone stay as they are known."""
        read_at = time.monotonic()
        known = self._directory.bindings(queue.name)
        tags = self._read(queue.url)
        if tags is None:
            return known
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
            tags = self._read(url) or QueueTags(tags={})
            for _, binding in tags.bindings:
                yield {
                    "destination": tags.tags.get(NAME_TAG, ""),
                    "source": binding.exchange or "",
                    "routing_key": binding.routing_key or "",
                }


def _subscription_tags(exchange: str) -> list[str]:
    return [subscription_tag(exchange), upper_tag(exchange)]
