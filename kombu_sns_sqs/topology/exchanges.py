"""Exchanges as topics: found, made where they are missing, taken away."""

from __future__ import annotations

from typing import Final

from kombu_sns_sqs import quotas
from kombu_sns_sqs.addressing import topic_name
from kombu_sns_sqs.aws.control import ControlPlane
from kombu_sns_sqs.errors import ChannelFailed, Kind, NotEquivalent, NotFound, exception_for
from kombu_sns_sqs.options import Options
from kombu_sns_sqs.topology.directory import Directory
from kombu_sns_sqs.topology.entities import EXCHANGE_TYPES, NAME_TAG, TYPE_TAG, Topic
from kombu_sns_sqs.topology.tags import tag_value

#: Seconds for which an auto-delete exchange is taken to be there: kombu declares it with every publish.
_TRUST_SECONDS: Final = 10.0


class Exchanges:
    """The exchanges one process declares or uses. Safe for threads."""

    def __init__(self, *, control: ControlPlane, directory: Directory, options: Options) -> None:
        self._control = control
        self._directory = directory
        self._options = options

    def get(self, exchange: str) -> Topic:
        """Give an exchange that exists.

        Raises:
            NotFound: it does not.
        """
        topic = self._directory.known_topic(exchange) or self.look_up(exchange)
        if topic is None:
            raise NotFound(f"NOT_FOUND - no exchange {exchange!r}")
        self._directory.remember_topic(topic)
        return topic

    def look_up(self, exchange: str, *, default_type: str = "direct") -> Topic | None:
        """Ask AWS for an exchange; its type is what its tag says, ``default_type`` for a topic without our tags."""
        arn, identity = self._directory.topic_address(exchange)
        if self._options.topology == "assume" or self._options.predefined_exchange(exchange) is not None:
            return Topic(exchange=exchange, type=default_type, arn=arn, identity=identity)
        reply = self._control.call(identity, "sns", "list_tags_for_resource", ResourceArn=arn)
        if reply.failure is not None:
            if reply.failure.kind is Kind.MISSING:
                return None
            raise exception_for(reply.failure)
        tags = {tag["Key"]: tag["Value"] for tag in reply.value.get("Tags") or ()}
        topic = Topic(exchange=exchange, type=tags.get(TYPE_TAG, default_type), arn=arn, identity=identity)
        # Some services know no tags of a topic they do not know, and say no more than that.
        return topic if TYPE_TAG in tags or self._is_there(topic) else None

    def declare(self, exchange: str, exchange_type: str, *, auto_delete: bool) -> None:
        """Make sure that an exchange exists, and is of this type.

        ``auto_delete``: whether kombu will declare it again with every publish.

        Raises:
            NotEquivalent: it exists with another type (406).
            ChannelFailed: there is no such type.
        """
        if exchange_type not in EXCHANGE_TYPES:
            valid = ", ".join(sorted(EXCHANGE_TYPES))
            raise ChannelFailed(f"exchange {exchange!r}: the type {exchange_type!r} is not supported; use {valid}")
        if self._options.topology == "assume":
            return
        topic = self._directory.known_topic(exchange)
        if topic is None or not self._is_there(topic, within=_TRUST_SECONDS if auto_delete else 0.0):
            topic = self.look_up(exchange, default_type=exchange_type) or self._create(exchange, exchange_type)
            self._directory.remember_topic(topic)
        if topic.type != exchange_type:
            raise NotEquivalent(
                f"PRECONDITION_FAILED - exchange {exchange!r} is of type {topic.type!r}, not {exchange_type!r}"
            )

    def check(self, exchange: str) -> None:
        """Raise NotFound where an exchange does not exist, whatever is remembered."""
        self._directory.forget_topic(exchange)
        self.get(exchange)

    def delete(self, topic: Topic) -> None:
        """Delete an exchange; its subscriptions go with it."""
        self._directory.forget_topic(topic.exchange)
        self._control.ask(topic.identity, "sns", "delete_topic", TopicArn=topic.arn)

    def _is_there(self, topic: Topic, *, within: float = 0.0) -> bool:
        """Whether a topic this process knows is still there; asked again only after ``within`` seconds."""
        if self._options.topology == "assume" or self._directory.known_topic(topic.exchange, within=within):
            return True
        reply = self._control.call(topic.identity, "sns", "get_topic_attributes", TopicArn=topic.arn)
        if reply.failure is None:
            self._directory.remember_topic(topic)
        elif reply.failure.kind is not Kind.MISSING:
            raise exception_for(reply.failure)
        return reply.failure is None

    def _create(self, exchange: str, exchange_type: str) -> Topic:
        if self._options.topology == "validate":
            raise NotFound(f"NOT_FOUND - no exchange {exchange!r}, and topology='validate' makes none")
        name = topic_name(exchange, prefix=self._options.queue_name_prefix)
        tags = {**self._options.queue_tags, NAME_TAG: tag_value(exchange), TYPE_TAG: exchange_type}
        reply = self._control.call(
            self._options.identity,
            "sns",
            "create_topic",
            Name=name,
            Attributes={"FifoTopic": "true"} if name.endswith(quotas.FIFO_SUFFIX) else {},
            Tags=[{"Key": key, "Value": str(value)} for key, value in tags.items()],
        )
        if reply.failure is None:
            arn = reply.value["TopicArn"]
            return Topic(exchange=exchange, type=exchange_type, arn=arn, identity=self._options.identity)
        # Made by another process a moment ago, perhaps with tags that differ: whatever it is, it is there now.
        found = None if reply.failure.kind.passing else self.look_up(exchange, default_type=exchange_type)
        if found is None:
            raise exception_for(reply.failure)
        return found
