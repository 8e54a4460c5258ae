"""Handing over: a message that is in hand for longer than SQS leases one goes on as a fresh one.

Into its own queue the fresh one cannot go: whoever polls there would run it. It goes into the queue's holding queue,
is received there at once by the process that sent it, and leased like any other; then the old one is deleted. What is
found in a holding queue without being leased is what its holder has lost, and goes back to where it came from.

A duplicate is possible where the process ends between send and delete: three round trips, once in twelve hours.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from kombu_sns_sqs import quotas
from kombu_sns_sqs.aws import operations
from kombu_sns_sqs.aws.client import Client
from kombu_sns_sqs.aws.operation import Operation
from kombu_sns_sqs.aws.reply import Reply
from kombu_sns_sqs.clock import Clock, lease_clock
from kombu_sns_sqs.errors import Kind, NotFound, exception_for
from kombu_sns_sqs.logs import fields
from kombu_sns_sqs.messages import Delivery, Outgoing
from kombu_sns_sqs.receiving import arrivals
from kombu_sns_sqs.settling.holdings import Lease
from kombu_sns_sqs.settling.settler import Settler
from kombu_sns_sqs.topology.entities import Queue
from kombu_sns_sqs.topology.holding_queues import HoldingQueues
from kombu_sns_sqs.wire.copying import copy
from kombu_sns_sqs.wire.trace import system_attributes, trace_received

logger = logging.getLogger(__name__)

#: Seconds between two attempts to hand a message over, and between two looks into the holding queue of a queue.
_AGAIN_SECONDS: Final = 20.0
_LOOK_SECONDS: Final = 600.0
#: For how long what is in a holding queue is left to the one who has sent it.
_RESERVED_SECONDS: Final = 120.0
#: For how long a look hides what it finds: enough to send it back.
_HIDDEN_SECONDS: Final = 30


@dataclass(slots=True)
class _HandOver:
    """One message on its way from one lease to the next; ``sent_id`` is of the fresh one."""

    settler: Settler
    lease: Lease
    deadline: float
    sent_id: str | None = None
    may_be_sent: bool = False


class Handover:
    """Hands messages over, and gives back what others have lost, for the connections of one process.

    Args:
        client: a blocking client that repeats nothing, lest it makes two fresh messages.
        find_queue: gives the queue of that AMQP name, None where there is none.
        call_later: runs something in so many seconds, in a thread that may block.
        clock: the clock of leases.
    """

    def __init__(
        self,
        *,
        client: Client,
        holding_queues: HoldingQueues,
        find_queue: Callable[[str], Queue | None],
        call_later: Callable[[float, Callable[[], None]], None],
        clock: Clock = lease_clock,
    ) -> None:
        self._client = client
        self._holding_queues = holding_queues
        self._find_queue = find_queue
        self._call_later = call_later
        self._clock = clock
        self._lock = threading.Lock()
        self._attended: set[str] = set()

    # -- who holds a message -----------------------------------------------------------------------------------

    def hand_over(self, settler: Settler, lease: Lease) -> None:
        """Have a lease handed over; it is adopted, or given up."""
        job = _HandOver(settler, lease, deadline=lease.since + quotas.MAX_VISIBILITY_SECONDS)
        self._call_later(0.0, lambda: self._try(job))

    def _try(self, job: _HandOver) -> None:
        if job.sent_id is None and not job.settler.holds(job.lease):
            return
        try:
            if self._attempt(job):
                return
            cause: object = "it has not been received yet"
        except Exception as exc:  # noqa: BLE001  # whatever it is, it may work the next time
            cause = exc
        delivery = job.lease.delivery
        queue, message_id = delivery.queue, delivery.message_id
        if self._clock() < job.deadline:
            told = fields("handover_delayed", queue=queue, message_id=message_id, cause=cause)
            logger.info("message %s is not handed over yet: %s", message_id, cause, extra=told)
            self._call_later(_AGAIN_SECONDS, lambda: self._try(job))
        else:
            told = fields("handover_failed", queue=queue, message_id=message_id, cause=cause)
            logger.warning("message %s of queue %r was not handed over: %s", message_id, queue, cause, extra=told)
            job.settler.give_up(job.lease)

    def _attempt(self, job: _HandOver) -> bool:
        """Send the fresh message, unless it was sent, and receive it; False where it does not come.

        A send whose answer was lost may have been carried out: what it made is looked for before another is made.
        """
        delivery = job.lease.delivery
        queue = self._find_queue(delivery.queue)
        if queue is None or not self._holding_queues.possible(queue):
            job.settler.give_up(job.lease)
            return True
        url = self._holding_queues.get(queue)
        if job.may_be_sent and self._adopt(job, queue, url):
            return True
        if job.sent_id is None:
            job.may_be_sent = True
            job.sent_id = self._ask(_send(queue, url, copy(delivery)), queue).value
        return self._adopt(job, queue, url)

    def _adopt(self, job: _HandOver, queue: Queue, url: str) -> bool:
        """Receive the fresh message and hold it instead of the old one; False where it does not come."""
        since = self._clock()
        seconds = job.lease.delivery.lease_seconds or job.settler.lease_seconds
        publish_id = job.lease.delivery.content.publish_id
        fresh: list[Delivery] = []
        for raw in self._receive(queue, url, seconds, wait=1).value:
            arrived = arrivals.read(raw, queue=queue, url=url)
            if arrived.message_id == job.sent_id or (publish_id and arrived.content.publish_id == publish_id):
                fresh.append(arrived)
            else:
                self._give_back(queue, url, raw)
        for number, arrived in enumerate(fresh):
            if number:
                self._delete(queue, arrived)
            else:
                job.settler.adopt(job.lease, arrived, since=since)
        return bool(fresh)

    # -- who finds one -----------------------------------------------------------------------------------------

    def attend(self, queue: Queue) -> None:
        """Look into a queue's holding queue now and then, as long as the process runs."""
        with self._lock:
            if queue.name in self._attended or not self._holding_queues.possible(queue):
                return
            self._attended.add(queue.name)
        self._call_later(_LOOK_SECONDS * random.uniform(0.5, 1.0), lambda: self._look_again(queue))

    def _look_again(self, queue: Queue) -> None:
        try:
            while self.look(queue):
                pass
        except Exception as exc:  # noqa: BLE001  # as above
            told = fields("holding_queue_unread", queue=queue.name, cause=exc)
            logger.info("the holding queue of queue %r could not be looked into: %s", queue.name, exc, extra=told)
        self._call_later(_LOOK_SECONDS * random.uniform(0.75, 1.25), lambda: self._look_again(queue))

    def look(self, queue: Queue) -> int:
        """Send back what is in a holding queue and not leased; return how many messages that were."""
        url = self._holding_queues.find(queue)
        if url is None:
            return 0
        reply = self._receive(queue, url, _HIDDEN_SECONDS, wait=0)
        sent_back = 0
        for raw in reply.value:
            delivery = arrivals.read(raw, queue=queue, url=url)
            if reply.date is not None and reply.date - delivery.sent_at < _RESERVED_SECONDS:
                self._give_back(queue, url, raw)
                continue
            target = queue.level_url(delivery.content.priority)
            self._ask(_send(queue, target, _as_it_is(raw, delivery)), queue)
            self._delete(queue, delivery)
            sent_back += 1
        return sent_back

    # -- requests ----------------------------------------------------------------------------------------------

    def _receive(self, queue: Queue, url: str, seconds: int, *, wait: int) -> Reply:
        operation = operations.receive_message(
            identity=queue.identity,
            queue_url=url,
            max_messages=quotas.MAX_RECEIVE_MESSAGES,
            wait_seconds=wait,
            visibility_timeout=seconds,
        )
        return self._ask(operation, queue)

    def _delete(self, queue: Queue, delivery: Delivery) -> None:
        self._ask(
            operations.delete_message(
                identity=queue.identity, queue_url=delivery.queue_url, receipt_handle=delivery.receipt_handle
            ),
            queue,
        )

    def _give_back(self, queue: Queue, url: str, raw: dict[str, Any]) -> None:
        handle = raw["ReceiptHandle"]
        self._ask(
            operations.change_visibility(identity=queue.identity, queue_url=url, receipt_handle=handle, seconds=0),
            queue,
        )

    def _ask(self, operation: Operation, queue: Queue) -> Reply:
        replies: list[Reply] = []
        self._client.call(operation).then(replies.append)
        failure = replies[0].failure
        if failure is not None:
            if failure.kind is Kind.MISSING:
                self._holding_queues.forget(queue)
                raise NotFound(str(failure))
            raise exception_for(failure)
        return replies[0]


def _as_it_is(raw: dict[str, Any], delivery: Delivery) -> Outgoing:
    return Outgoing(
        body=raw["Body"],
        attributes=delivery.attributes,
        publish_id=delivery.content.publish_id,
        group_id=delivery.system_attributes.get("MessageGroupId"),
        trace=trace_received(delivery),
    )


def _send(queue: Queue, url: str, message: Outgoing) -> Operation:
    return operations.send_message(
        identity=queue.identity,
        queue_url=url,
        body=message.body,
        attributes=message.attributes,
        group_id=message.group_id,
        system_attributes=system_attributes(message.trace),
    )
