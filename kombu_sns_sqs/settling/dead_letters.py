"""Dead letters: published where they belong first, deleted after, and given back where that fails.

A message that is rejected, has expired, or was delivered too often stays under lease until AWS has its dead letter; so
nothing is lost, and a crash in between makes a second dead letter at worst. Finding the target and publishing may
block: both happen in a thread of their own, together for all that has gathered meanwhile. A forked child buries
nothing of its parent's.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Final

from kombu_sns_sqs import quotas
from kombu_sns_sqs.addressing import digest
from kombu_sns_sqs.aws import operations
from kombu_sns_sqs.aws.client import Client
from kombu_sns_sqs.aws.operation import Operation, SendEntry
from kombu_sns_sqs.aws.reply import Reply
from kombu_sns_sqs.aws.retrying import Backoff
from kombu_sns_sqs.batching import Batcher
from kombu_sns_sqs.errors import Error, Kind, exception_for
from kombu_sns_sqs.lifecycle import Housekeeper
from kombu_sns_sqs.logs import fields
from kombu_sns_sqs.messages import Delivery, Outgoing
from kombu_sns_sqs.monitoring.hooks import How
from kombu_sns_sqs.publishing.dead_letter_targets import DeadLetterTargets, Target
from kombu_sns_sqs.settling.holdings import MEMORY
from kombu_sns_sqs.settling.settlers import Settlers
from kombu_sns_sqs.wire import attributes as attrs
from kombu_sns_sqs.wire import dead_letter
from kombu_sns_sqs.wire.deaths import Death, Reason
from kombu_sns_sqs.wire.trace import request_headers, system_attributes

logger = logging.getLogger(__name__)

#: When a message comes back whose dead letter could not be published, by how often it has been received.
_COMES_BACK: Final = Backoff(base=5.0, cap=300.0)

_Line = tuple[Death, Outgoing]
_Memory = OrderedDict[tuple[str, str], int]


class DeadLetters:
    """Buries the messages of all connections of one process. Safe for threads.

    Args:
        client: a blocking client.
        targets: where dead letters go.
        settler: deletes what is buried, gives back what could not be.
        compat: the form of the envelope, as the option says.
        tell: hears of what is buried: its delivery, how, and why; or None.
    """

    def __init__(
        self,
        *,
        client: Client,
        targets: DeadLetterTargets,
        settler: Settlers,
        compat: str,
        tell: Callable[..., None] | None = None,
    ) -> None:
        self._client = client
        self._targets = targets
        self._settler = settler
        self._compat = compat
        self._tell = tell
        self._housekeeper = Housekeeper("kombu-sns-sqs-dead-letters")
        self._idle = threading.Condition()
        self._waiting: list[Death] = []
        self._unburied = 0
        #: Queues whose last dead letter could not be made: the log says so once.
        self._failing: set[str] = set()
        #: Messages by queue and id: how many receives were no deliveries, and which were rejected and came back.
        self._undelivered: _Memory = OrderedDict()
        self._rejected: _Memory = OrderedDict()
        self._pid = os.getpid()

    # -- any thread ------------------------------------------------------------------------------------------

    def bury(self, delivery: Delivery, reason: Reason) -> None:
        """Publish a held message as a dead letter and delete it; soon, and together with others.

        One whose queue has no place for dead letters is deleted, as AMQP has it.
        """
        if self._pid != os.getpid():
            return
        death = Death(delivery=delivery, reason=reason, at=time.time())
        if self._targets.surely_none(death):
            self._settler.ack(delivery)
            self._told(death, "discard")
            return
        with self._idle:
            self._waiting.append(death)
            self._unburied += 1
            first = len(self._waiting) == 1
        if first:
            self._housekeeper.call_later(0.0, self._bury_waiting)

    def overdue(self, delivery: Delivery) -> Reason | None:
        """Say why a message that has arrived is to be buried and not delivered; None: it is to be delivered.

        That is when it was rejected here and has come back because there could be no dead letter of it; or when it was
        delivered as often as its queue allows. SQS counts receives: those of this process that did not become
        deliveries are taken off, of other processes' it cannot be known.
        """
        if delivery.receive_count == 1:
            return None
        with self._idle:
            if _message(delivery) in self._rejected:
                return Reason.REJECTED
            undelivered = self._undelivered.get(_message(delivery), 0)
        limit = delivery.dead_letters.limit
        return Reason.DELIVERY_LIMIT if limit is not None and delivery.receive_count - undelivered > limit else None

    def not_delivered(self, delivery: Delivery) -> None:
        """Note that a receive is no delivery: the application has never seen it."""
        if delivery.dead_letters.limit is None or self._pid != os.getpid():
            return
        with self._idle:
            _remember(self._undelivered, delivery, self._undelivered.get(_message(delivery), 0) + 1)

    def flush(self, timeout: float) -> bool:
        """Wait until all dead letters are published or given back; False where ``timeout`` seconds did not do."""
        if self._pid != os.getpid() or not self._unburied:
            return True
        with self._idle:
            return self._idle.wait_for(lambda: not self._unburied, timeout)

    def stop(self, timeout: float) -> None:
        """Publish what waits, within ``timeout`` seconds, give the rest back, and end."""
        if not self.flush(timeout):
            with self._idle:
                left, self._waiting = self._waiting, []
            told = fields("dead_letters_left", count=len(left))
            words = "%d dead letters were not published before the stop: the messages are given back"
            logger.warning(words, len(left), extra=told)
            for death in left:
                self._give_back(death, delay=0)
        self._housekeeper.stop(0.0)

    # -- the thread ------------------------------------------------------------------------------------------

    def _bury_waiting(self) -> None:
        with self._idle:
            deaths, self._waiting = self._waiting, []
        batches: Batcher[Target, _Line] = Batcher(max_age=0, max_bytes=quotas.MAX_TOPIC_MESSAGE_BYTES)
        for death in deaths:
            try:
                target = self._targets.find(death)
                if target is None:
                    self._bury_nowhere(death)
                    continue
                message = self._encode(death, target)
            except Exception as exc:  # noqa: BLE001  # whatever it is, the message must not be lost
                self._failed(death, exc)
                continue
            size = len(message.body.encode()) + attrs.size(message.attributes)
            batches.add(target, (death, message), now=0.0, size=size)
        for target, lines in batches.drain():
            self._publish(target, lines)

    def _encode(self, death: Death, target: Target) -> Outgoing:
        # The same for each attempt to bury this very message, so that two of them are known for copies.
        publish_id = digest("dead letter", death.delivery.queue_url, death.delivery.message_id)
        return dead_letter.encode(
            death,
            exchange=target.exchange,
            routing_key=target.routing_key,
            publish_id=publish_id,
            fifo=target.fifo,
            compat=self._compat,
        )

    def _publish(self, target: Target, lines: Sequence[_Line]) -> None:
        replies: list[Reply] = []
        try:
            self._client.call(_operation(target, lines)).then(replies.append)
        except Exception as exc:  # noqa: BLE001  # as above
            for death, _ in lines:
                self._failed(death, exc)
            return
        for number, (death, _) in enumerate(lines):
            failure = replies[0].failure_of(str(number))
            if failure is None:
                self._buried(death, "dead letter")
                continue
            if failure.kind is Kind.MISSING:
                self._targets.forget(target)
            self._failed(death, exception_for(failure))

    def _bury_nowhere(self, death: Death) -> None:
        if death.delivery.dead_letters.exchange is not None:
            told = fields("dead_letter_cycle", queue=death.queue, message_id=death.delivery.message_id)
            words = "a message went round in a circle of dead letters and was dropped in queue %r"
            logger.warning(words, death.queue, extra=told)
        self._buried(death, "discard")

    def _buried(self, death: Death, how: How) -> None:
        self._failing.discard(death.queue)
        self._settler.ack(death.delivery)
        self._told(death, how)
        self._done()

    def _told(self, death: Death, how: How) -> None:
        if self._tell is not None:
            self._tell(death.delivery, how, reason=death.reason.value)

    def _failed(self, death: Death, cause: Exception) -> None:
        delay = 1 + int(_COMES_BACK.delay(death.delivery.receive_count, random.random))
        logger.log(
            logging.DEBUG if death.queue in self._failing else logging.ERROR,
            "no dead letter could be made of message %s of queue %r (%s), it comes back in %d s: %s",
            death.delivery.message_id,
            death.queue,
            death.reason.value,
            delay,
            cause,
            exc_info=None if isinstance(cause, Error) else cause,
            extra=_told(death, delay, cause),
        )
        self._failing.add(death.queue)
        self._give_back(death, delay)

    def _give_back(self, death: Death, delay: int) -> None:
        if death.reason is Reason.REJECTED:
            with self._idle:
                _remember(self._rejected, death.delivery, 1)
        else:
            self.not_delivered(death.delivery)
        self._settler.release(death.delivery, delay=delay)
        self._done()

    def _done(self) -> None:
        with self._idle:
            self._unburied -= 1
            if not self._unburied:
                self._idle.notify_all()


def _told(death: Death, delay: int, cause: Exception) -> dict[str, Any]:
    message_id, reason = death.delivery.message_id, death.reason.value
    return fields(
        "dead_letter_failed", queue=death.queue, message_id=message_id, reason=reason, delay=delay, cause=cause
    )


def _message(delivery: Delivery) -> tuple[str, str]:
    return (delivery.queue_url, delivery.message_id)


def _remember(memory: _Memory, delivery: Delivery, count: int) -> None:
    memory[_message(delivery)] = count
    memory.move_to_end(_message(delivery))
    while len(memory) > MEMORY:
        memory.popitem(last=False)


def _operation(target: Target, lines: Sequence[_Line]) -> Operation:
    entries = [
        SendEntry(
            id=str(number),
            body=message.body,
            attributes=message.attributes,
            group_id=message.group_id,
            deduplication_id=message.deduplication_id,
            system_attributes=system_attributes(message.trace),
        )
        for number, (_, message) in enumerate(lines)
    ]
    if target.exchange:
        trace = request_headers(message.trace for _, message in lines)
        return operations.publish_batch(
            identity=target.identity, topic_arn=target.address, entries=entries, unsigned=trace
        )
    return operations.send_message_batch(identity=target.identity, queue_url=target.address, entries=entries)
