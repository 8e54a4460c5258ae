"""A received message as kombu knows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kombu.message import Message as KombuMessage

from kombu_sns_sqs.wire import attributes as attrs
from kombu_sns_sqs.wire.properties import MAX_PRIORITY
from kombu_sns_sqs.wire.trace import TRACE_HEADER

if TYPE_CHECKING:
    from kombu_sns_sqs.channel import Channel
    from kombu_sns_sqs.messages import Delivery

__all__ = ("Message",)


class Message(KombuMessage):
    """A message of AMQP, with what SQS tells about it in ``delivery_info``.

    ``delivery_info`` holds ``exchange``, ``routing_key``, ``redelivered``, ``consumer_tag`` and, of SQS,
    ``sqs_message_id``, ``sqs_queue`` (its URL) and ``receive_count``, which is also there under SQS's own name,
    ``ApproximateReceiveCount``. Attributes of the message are in ``properties["message_attributes"]``, X-Ray's trace
    header is in ``headers["AWSTraceHeader"]``.
    """

    def __init__(self, delivery: Delivery, *, channel: Channel, delivery_tag: int, consumer_tag: str | None) -> None:
        content = delivery.content
        info: dict[str, Any] = {
            "exchange": content.exchange,
            "routing_key": content.routing_key if not content.foreign else delivery.queue,
            "redelivered": delivery.redelivered,
            "sqs_message_id": delivery.message_id,
            "sqs_queue": delivery.queue_url,
            "receive_count": delivery.receive_count,
            "ApproximateReceiveCount": delivery.receive_count,
        }
        if consumer_tag is not None:
            info["consumer_tag"] = consumer_tag
        properties, headers = dict(content.properties), dict(content.headers)
        # As it left the last service: SNS may have put a segment of its own into it.
        trace = delivery.system_attributes.get(TRACE_HEADER) or properties.get(TRACE_HEADER)
        if trace:
            headers[TRACE_HEADER] = trace
        if "priority" in properties:
            # A number, whatever a stranger wrote: a task that is retried is published with it again.
            info["priority"] = properties["priority"] = min(content.priority, MAX_PRIORITY)
        user_attributes = attrs.from_aws(delivery.attributes)
        if user_attributes:
            properties["message_attributes"] = user_attributes
        super().__init__(
            body=content.body,
            channel=channel,
            delivery_tag=delivery_tag,
            content_type=content.content_type,
            content_encoding=content.content_encoding,
            headers=headers,
            properties=properties,
            delivery_info=info,
        )
