"""What an application had in hand when its connection broke, and knows of no more.

Celery drops what its timer and its rate limits kept, saying that it cannot be acked any more, while what runs goes on.
As with RabbitMQ the one is for others then, and here the other can still be acked.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterable
from typing import TYPE_CHECKING

from kombu.message import Message as KombuMessage

from kombu_sns_sqs.settling.settlers import Settlers

if TYPE_CHECKING:
    from kombu_sns_sqs.channel import Channel


def give_back_when_forgotten(channels: Iterable[Channel], settler: Settlers) -> None:
    """Give back what channels have handed out as soon as nobody has the message any more, unless it was settled.

    All objects are looked through, for a broken connection is rare, and messages are many.
    """
    unsettled = {(id(channel), tag): delivery for channel in channels for tag, delivery in channel.qos.unsettled}
    if not unsettled:
        return
    for one in gc.get_objects():
        # By its type, since a proxy would make up an object to be asked for its class.
        if issubclass(type(one), KombuMessage):
            delivery = unsettled.pop((id(getattr(one, "channel", None)), getattr(one, "delivery_tag", 0)), None)
            if delivery is not None:
                weakref.finalize(one, settler.forgotten, delivery).atexit = False
    # What is frozen (gc.freeze) is not among all objects.
    for delivery in unsettled.values() if not gc.get_freeze_count() else ():
        settler.forgotten(delivery)
