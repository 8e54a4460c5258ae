"""The door, one verb of AMQP after the other: each is one call into the house."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

from amqp import RecoverableConnectionError
from amqp.protocol import queue_declare_ok_t
from kombu.transport.base import to_rabbitmq_queue_arguments

from kombu_sns_sqs import message
from kombu_sns_sqs.errors import QueueInUse
from kombu_sns_sqs.exchange_bindings import WithoutExchangeBindings
from kombu_sns_sqs.messages import Delivery
from kombu_sns_sqs.publishing.batch import PublishBatch
from kombu_sns_sqs.qos import QoS
from kombu_sns_sqs.receiving.getter import get_one
from kombu_sns_sqs.receiving.lanes import Consumer
from kombu_sns_sqs.receiving.window import Window
from kombu_sns_sqs.replies import WithReplies, asked
from kombu_sns_sqs.topology.entities import QueueDeclaration

if TYPE_CHECKING:
    from kombu_sns_sqs.services import Services
    from kombu_sns_sqs.transport import Transport


class Channel(WithReplies, WithoutExchangeBindings):
    """A channel of AMQP 0-9-1. https://www.rabbitmq.com/amqp-0-9-1-reference.

    All verbs but acks and rejects belong to the thread that uses the connection; those may come from any thread.
    """

    Message = message.Message
    #: Callbacks by event, as py-amqp has them; nothing is ever returned here.
    events: ClassVar[dict[str, set[Any]]] = {"basic_return": set()}
    _ids = itertools.count(1)

    def __init__(self, connection: Transport) -> None:
        self.connection: Transport | None = connection
        self.channel_id = next(self._ids)
        self.closed = False
        self.no_ack_consumers: set[str] = set()
        self._services = connection.services
        self._receiver = connection.receiver
        self._replies = self._services.replies(connection)
        self._consumers: dict[str, Consumer] = {}
        self.qos = QoS(window=Window(cap=self._services.options.prefetch_limit), on_free=self._receiver.wake)

    # -- exchanges -------------------------------------------------------------------------------------------

    def exchange_declare(
        self,
        exchange: str | None = None,
        type: str = "direct",  # noqa: A002  # AMQP's own word
        durable: bool = False,
        auto_delete: bool = False,
        arguments: Mapping[str, Any] | None = None,
        nowait: bool = False,
        passive: bool = False,
    ) -> None:
        """Declare an exchange, or with ``passive`` raise NotFound (404) where it is missing."""
        name = exchange or f"amq.{type or 'direct'}"
        if passive:
            self._open.provisioner.check_exchange(name)
        else:
            self._open.provisioner.declare_exchange(name, type or "direct", auto_delete=auto_delete)

    def exchange_delete(self, exchange: str, if_unused: bool = False, nowait: bool = False) -> None:
        """Delete an exchange and its bindings."""
        self._open.provisioner.delete_exchange(exchange, if_unused=if_unused)

    # -- queues ----------------------------------------------------------------------------------------------

    def queue_declare(
        self,
        queue: str = "",
        passive: bool = False,
        durable: bool = False,
        exclusive: bool = False,
        auto_delete: bool = True,
        nowait: bool = False,
        arguments: Mapping[str, Any] | None = None,
    ) -> queue_declare_ok_t:
        """Declare a queue, or with ``passive`` raise NotFound (404) where it is missing."""
        if passive:
            return queue_declare_ok_t(queue, self._open.provisioner.count(queue), self._consumer_count(queue))
        declaration = QueueDeclaration.read(
            queue or f"amq.gen-{uuid4()}",
            durable=durable,
            exclusive=exclusive,
            auto_delete=auto_delete,
            arguments=arguments,
        )
        count = self._replies.declare(declaration)
        return queue_declare_ok_t(declaration.name, count, self._consumer_count(declaration.name))

    def prepare_queue_arguments(self, arguments: Mapping[str, Any], **kwargs: Any) -> Any:
        """Put kombu's names for queue arguments into RabbitMQ's."""
        return to_rabbitmq_queue_arguments(arguments, **kwargs)

    def queue_bind(
        self,
        queue: str,
        exchange: str = "",
        routing_key: str = "",
        arguments: Mapping[str, Any] | None = None,
        nowait: bool = False,
    ) -> None:
        """Bind a queue to an exchange: from the return on it receives, with or without a consumer."""
        self._open.provisioner.bind(queue, exchange, routing_key or "")

    def queue_unbind(
        self,
        queue: str,
        exchange: str = "",
        routing_key: str = "",
        arguments: Mapping[str, Any] | None = None,
        nowait: bool = False,
    ) -> None:
        """Take a binding away."""
        self._open.provisioner.unbind(queue, exchange, routing_key or "")

    def queue_purge(self, queue: str, nowait: bool = False) -> int:
        """Remove the ready messages of a queue and return about how many there were."""
        self._settle()
        return self._open.provisioner.purge(queue)

    def queue_delete(self, queue: str, if_unused: bool = False, if_empty: bool = False, nowait: bool = False) -> int:
        """Delete a queue and return about how many messages it had."""
        if if_unused and self._consumer_count(queue):
            raise QueueInUse(f"PRECONDITION_FAILED - queue {queue!r} has consumers")
        self._settle()
        return self._open.provisioner.delete_queue(queue, if_empty=if_empty)

    # -- messages out ----------------------------------------------------------------------------------------

    def prepare_message(
        self,
        body: Any,
        priority: int | None = None,
        content_type: str | None = None,
        content_encoding: str | None = None,
        headers: dict[str, Any] | None = None,
        properties: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Put a message into the form :meth:`basic_publish` takes."""
        properties = {**(properties or {})}
        properties.setdefault("priority", priority or 0)
        return {
            "body": body,
            "content-encoding": content_encoding,
            "content-type": content_type,
            "headers": headers or {},
            "properties": properties,
        }

    def basic_publish(
        self, message: Mapping[str, Any], exchange: str = "", routing_key: str = "", **_options: Any
    ) -> None:
        """Publish a message; on return AWS has it."""
        self._open.publisher.publish(asked(message, exchange or ""), exchange or "", routing_key or "")

    def create_publish_batch(self, max_size: int) -> PublishBatch:
        """Give ``Producer.batch()`` its session."""
        return self._open.publish_batch(self, max_size)

    # -- messages in -----------------------------------------------------------------------------------------

    def basic_qos(self, prefetch_size: int = 0, prefetch_count: int = 0, apply_global: bool = False) -> None:
        """Set how many unsettled messages this channel may have; 0 for no limit but the option ``prefetch_limit``."""
        self.qos.prefetch_count = prefetch_count

    def basic_consume(
        self,
        queue: str,
        no_ack: bool = False,
        callback: Callable[[Any], Any] | None = None,
        consumer_tag: str = "",
        **_options: Any,
    ) -> str:
        """Consume from a queue and return the consumer tag."""
        tag = consumer_tag or f"ctag-{uuid4()}"
        queue = self._replies.collecting(queue)
        found = self._open.provisioner.queue_to_consume(queue, self.connection)
        hand_over = partial(self._hand_over, callback=callback)
        consumer = Consumer(tag=tag, queue=queue, no_ack=bool(no_ack), qos=self.qos, hand_over=hand_over)
        self._consumers[tag] = consumer
        if no_ack:
            self.no_ack_consumers.add(tag)
        self._receiver.consume(consumer, found)
        return tag

    def _hand_over(self, delivery: Delivery, consumer: Consumer, *, callback: Callable[[Any], Any] | None) -> None:
        message = self._message(delivery, no_ack=consumer.no_ack, consumer_tag=consumer.tag)
        try:
            if callback is not None:
                callback(message)
        finally:
            # Also after a callback that raises, such as the one that shuts a worker down: it has been delivered.
            if consumer.no_ack:
                self._services.ack(delivery)

    def basic_cancel(self, consumer_tag: str, nowait: bool = False) -> None:
        """Stop a consumer; what it has not been handed goes back to the queue."""
        consumer = self._consumers.pop(consumer_tag, None)
        self.no_ack_consumers.discard(consumer_tag)
        if consumer is not None:
            self._receiver.cancel(consumer)

    def basic_get(self, queue: str, no_ack: bool = False, **_options: Any) -> message.Message | None:
        """Fetch one message, None where there is none."""
        delivery = get_one(self._open, self._open.provisioner.queue_to_consume(queue))
        if delivery is None:
            return None
        if no_ack:
            self._services.ack(delivery)
        return self._message(delivery, no_ack=no_ack, consumer_tag=None)

    def _message(self, delivery: Delivery, *, no_ack: bool, consumer_tag: str | None) -> message.Message:
        if (tell := self._services.watch.receive) is not None:
            tell(delivery)
        tag = self.qos.next_tag()
        if not no_ack:
            self.qos.append(delivery, tag)
        return self.Message(delivery, channel=self, delivery_tag=tag, consumer_tag=consumer_tag)

    def message_to_python(self, raw_message: Any) -> Any:
        """Give the message back: it is one of ours already."""
        return raw_message

    # -- settling --------------------------------------------------------------------------------------------

    def basic_ack(self, delivery_tag: int, multiple: bool = False) -> None:
        """Acknowledge a message, or all up to it."""
        self._check_not_closed()
        for delivery in self.qos.take(delivery_tag, multiple=multiple):
            self._services.ack(delivery)

    def basic_reject(self, delivery_tag: int, requeue: bool = False) -> None:
        """Refuse a message: it is dead-lettered, or with ``requeue`` comes back to the queue."""
        self._check_not_closed()
        for delivery in self.qos.take(delivery_tag):
            self._services.rejections.reject(delivery, requeue=requeue)

    def _check_not_closed(self) -> None:
        """Raise for a closed channel, which has given back what it had.

        A channel whose connection was only collected still settles: what is in hand there is still under lease.
        """
        if self.closed:
            raise RecoverableConnectionError("the channel is closed, its messages have been given back")

    def basic_recover(self, requeue: bool = False) -> None:
        """Give back all unsettled messages of this channel."""
        for delivery in self.qos.take(0, multiple=True):
            self._services.settler.release(delivery)

    # -- the rest --------------------------------------------------------------------------------------------

    def flow(self, active: bool = True) -> None:
        """Do nothing: the prefetch window is the only flow control there is."""

    def close(self) -> None:
        """Stop all consumers and give back what is unsettled, but not after the connection was only collected."""
        if self.closed or self.connection is None:
            return
        self.closed = True
        for tag in list(self._consumers):
            self.basic_cancel(tag)
        self._receiver.forget(self.qos)
        self.basic_recover(requeue=True)
        self._replies.close()
        if self.connection is not None:
            self.connection.close_channel(self)
        self.connection = None

    @property
    def _transport(self) -> Transport:
        if self.connection is None:
            raise RecoverableConnectionError("the channel is closed")
        return self.connection

    @property
    def _open(self) -> Services:
        """The services, of a channel that is not closed."""
        return self._transport.services

    def _settle(self) -> None:
        """See acks and give-backs carried out, so that what is asked next sees them."""
        self._services.settle(self._services.options.read_timeout)

    def _consumer_count(self, queue: str) -> int:
        return sum(consumer.queue == queue for consumer in self._consumers.values())
