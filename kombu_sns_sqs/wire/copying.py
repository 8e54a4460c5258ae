"""A received message as it can be sent again, unchanged. Pure."""

from __future__ import annotations

from kombu_sns_sqs.messages import Delivery, Outgoing
from kombu_sns_sqs.wire import attributes as attrs
from kombu_sns_sqs.wire import envelope
from kombu_sns_sqs.wire.trace import trace_received


def copy(delivery: Delivery) -> Outgoing:
    """Write a message anew: the same envelope, publish id and attributes, but for those that SNS filters by.

    Those would have it matched again, where it was sent to the queue itself.

    Raises:
        MessageError: it cannot be written as JSON.
    """
    content = delivery.content
    publish_id = content.publish_id or delivery.message_id
    body = content.body
    if not content.foreign:
        message = {
            "body": content.body,
            "content-type": content.content_type,
            "content-encoding": content.content_encoding,
            "headers": content.headers,
            "properties": content.properties,
        }
        body = envelope.encode(
            message,
            exchange=content.exchange,
            routing_key=content.routing_key,
            publish_id=publish_id,
            compat="native" if attrs.ENVELOPE_ATTRIBUTE in delivery.attributes else "sqs",
        ).body
    return Outgoing(
        body=str(body),
        attributes=attrs.sent_on(delivery.attributes),
        publish_id=publish_id,
        priority=content.priority,
        group_id=delivery.system_attributes.get("MessageGroupId"),
        trace=trace_received(delivery),
    )
