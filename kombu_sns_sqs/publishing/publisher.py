"""One message, out: where it goes, and what is said when it cannot be carried.

The default exchange is a SendMessage to the queue that the routing key names. Any other exchange is one Publish to its
topic, however many queues are bound; except that replies of remote control go straight to the queue that kombu names
after them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from os import urandom
from typing import Any, Final

from kombu_sns_sqs.addressing import is_reply_exchange, reply_queue_name
from kombu_sns_sqs.aws.blocking import BlockingClient
from kombu_sns_sqs.aws.reply import Reply
from kombu_sns_sqs.errors import Kind, NotFound, exception_for
from kombu_sns_sqs.logs import Seldom, fields
from kombu_sns_sqs.messages import Outgoing
from kombu_sns_sqs.monitoring.hooks import Outcome
from kombu_sns_sqs.options import Options
from kombu_sns_sqs.publishing.parcel import Destination, Parcel
from kombu_sns_sqs.publishing.postponing import Postponing
from kombu_sns_sqs.temporary_names import bears_uuid
from kombu_sns_sqs.topology.directory import Directory
from kombu_sns_sqs.topology.entities import Queue
from kombu_sns_sqs.topology.filters import routing_attributes
from kombu_sns_sqs.topology.levels import priority_attributes
from kombu_sns_sqs.wire import envelope
from kombu_sns_sqs.wire.properties import check_properties

logger = logging.getLogger(__name__)

#: As many random bytes as a UUID has, of which no form is asked.
_ID_BYTES: Final = 16
#: ``delivery_mode`` of what need not outlive the broker, such as the events of Celery.
_TRANSIENT: Final = 1


class Publisher:
    """Sends messages for all connections of one process. Safe for threads.

    It returns when AWS has the message, except that Celery's events are left to a :class:`Courier`.

    Args:
        client: sends.
        directory: where queues and exchanges are.
        complete: finds out the priority levels of a queue this process did not declare.
        postponing: packs what is not due yet.
        settle_postponed: makes what was declared and not made yet.
        send_later: takes a message that is sent in the background; False where it has to be sent now.
        options: the form of the envelope, and which exchange is Celery's events'.
    """

    def __init__(
        self,
        *,
        client: BlockingClient,
        directory: Directory,
        complete: Callable[[Queue], Queue],
        postponing: Postponing,
        settle_postponed: Callable[[], None],
        send_later: Callable[[Parcel], bool],
        options: Options,
    ) -> None:
        self._client = client
        self._directory = directory
        self._complete = complete
        self._postponing = postponing
        self._settle_postponed = settle_postponed
        self._send_later = send_later
        self._options = options
        #: Messages that had nowhere to go.
        self.dropped = 0
        self._seldom = Seldom()

    def publish(self, message: Mapping[str, Any], exchange: str, routing_key: str) -> Outcome | None:
        """Publish a message as ``Channel.prepare_message`` made it, and give its outcome: ``sent`` or ``dropped``.

        None: it is an event, and was left to the courier.

        A transient one is not tried again once a first attempt has gone unanswered for as long as ``read_timeout``:
        Celery sends replies to remote control on the event loop.

        Raises:
            MessageError: AWS would refuse it.
            NotFound: the exchange does not exist.
            Error: it could not be sent; whether AWS has it is unknown after :class:`Unreachable`.
        """
        outgoing = self.wrap(message, exchange, routing_key)
        patience = self._options.read_timeout if _transient(message) else None
        for _ in range(2):
            parcel = self.address(outgoing, exchange, routing_key)
            if parcel is None:
                return "dropped"
            if self.leave(parcel, message, exchange):
                return None
            failure = self._call(parcel, patience).failure
            if failure is None:
                return "sent"
            if failure.kind is not Kind.MISSING:
                raise exception_for(failure)
            self.mislaid(parcel)
        self.drop(exchange, routing_key)
        return "dropped"

    def leave(self, parcel: Parcel, message: Mapping[str, Any], exchange: str) -> bool:
        """Leave an event to the courier; False where it is none, or has to be sent now."""
        is_event = bool(exchange) and exchange == self._options.event_exchange and _transient(message)
        return is_event and self._send_later(parcel)

    def wrap(self, message: Mapping[str, Any], exchange: str, routing_key: str) -> Outgoing:
        """Put a message into its envelope.

        Raises:
            MessageError: AWS would refuse it, or AMQP.
        """
        check_properties(message.get("properties") or {})
        return envelope.encode(
            message,
            exchange=exchange,
            routing_key=routing_key,
            publish_id=urandom(_ID_BYTES).hex(),
            compat=self._options.compat,
            due=self._postponing.due(message, exchange=exchange),
        )

    def address(self, message: Outgoing, exchange: str, routing_key: str) -> Parcel | None:
        """Find out where a message goes; None where it is dropped, for there is no such queue.

        Raises:
            MessageTooLarge: the service would refuse it.
            Error: the place could not be looked up.
        """
        self._settle_postponed()
        if exchange and not is_reply_exchange(exchange):
            arn, identity = self._directory.topic_address(exchange)
            place = Destination(name=exchange, address=arn, identity=identity, topic=True)
            ways = {**routing_attributes(routing_key), **priority_attributes(message.priority)}
            return Parcel.pack(message, place, ways)
        name = reply_queue_name(exchange, routing_key) if exchange else routing_key
        queue = self._directory.find_queue(name)
        if queue is None:
            self.drop(exchange, routing_key)
            return None
        if message.due is not None:
            return self._postponing.pack(message, queue)
        if message.priority > 0:
            queue = self._complete(queue)
        return Parcel.pack(message, Destination.of_queue(queue, message.priority))

    def mislaid(self, parcel: Parcel) -> None:
        """Forget an address that leads nowhere: a queue may have been made anew, and is looked up again.

        Raises:
            NotFound: it is an exchange, and gone.
        """
        name = parcel.destination.name
        if parcel.destination.topic:
            self._directory.forget_topic(name)
            raise NotFound(f"NOT_FOUND - no exchange {name!r}")
        queue = self._directory.known_queue(name)
        if queue is not None:
            self._postponing.forget(queue)
        self._directory.forget_queue(name)

    def drop(self, exchange: str, routing_key: str) -> None:
        """Do as AMQP's default exchange does with a queue that is not there, but not without a word."""
        self.dropped += 1
        name = reply_queue_name(exchange, routing_key) if exchange else routing_key
        # A reply, or a result, for somebody who has not waited for it, is nothing out of the ordinary.
        level = logging.DEBUG if exchange or bears_uuid(name) else logging.WARNING
        if count := self._seldom.count(name):
            told = fields("message_dropped", queue=name, exchange=exchange, count=count)
            logger.log(level, "a message was dropped: there is no queue %r", name, extra=told)

    def _call(self, parcel: Parcel, patience: float | None) -> Reply:
        operation = parcel.operation()
        if patience is not None:
            operation = operation._replace(patience=patience)
        return self._client.perform(operation)


def _transient(message: Mapping[str, Any]) -> bool:
    return bool((message.get("properties") or {}).get("delivery_mode") == _TRANSIENT)
