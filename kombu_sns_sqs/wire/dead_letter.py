"""A dead letter: the message as it was, with its history in the headers, on its way to where it belongs now. Pure."""

from __future__ import annotations

from typing import Final

from kombu_sns_sqs import quotas
from kombu_sns_sqs.messages import Outgoing
from kombu_sns_sqs.topology.filters import routing_attributes
from kombu_sns_sqs.topology.levels import priority_attributes
from kombu_sns_sqs.wire import attributes as attrs
from kombu_sns_sqs.wire import envelope
from kombu_sns_sqs.wire.deaths import Death
from kombu_sns_sqs.wire.trace import trace_received

#: The group on a FIFO queue or topic of a dead letter that had none.
_DEFAULT_GROUP: Final = "default"


def encode(
    death: Death, *, exchange: str, routing_key: str, publish_id: str, fifo: bool, compat: str = "native"
) -> Outgoing:
    """Wrap a dead message for an exchange, or with an empty one for the queue that ``routing_key`` names.

    A foreign message is wrapped, too: its history has no other place.

    Raises:
        MessageError: it cannot be written as JSON.
    """
    content = death.delivery.content
    message = {
        "body": content.body,
        "content-type": content.content_type,
        "content-encoding": content.content_encoding,
        "headers": death.headers,
        "properties": death.properties,
    }
    outgoing = envelope.encode(
        message, exchange=exchange, routing_key=routing_key, publish_id=publish_id, compat=compat
    )
    ways = {**routing_attributes(routing_key), **priority_attributes(outgoing.priority)} if exchange else {}
    ours = {**outgoing.attributes, **ways}
    theirs = [(name, value) for name, value in death.delivery.attributes.items() if name not in attrs.RESERVED]
    # What a stranger sent may have all ten attributes; with an eleventh AWS would take none of the message.
    room = quotas.MAX_MESSAGE_ATTRIBUTES - len(ours)
    group = death.delivery.system_attributes.get("MessageGroupId")
    return Outgoing(
        body=outgoing.body,
        attributes={**dict(theirs[:room]), **ours},
        publish_id=publish_id,
        priority=outgoing.priority,
        group_id=group or (_DEFAULT_GROUP if fifo else None),
        deduplication_id=publish_id if fifo else None,
        trace=trace_received(death.delivery),
    )
