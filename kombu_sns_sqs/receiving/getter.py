"""``basic.get``: one message now, or none."""

from __future__ import annotations

import time

from kombu_sns_sqs.aws import operations
from kombu_sns_sqs.aws.reply import Reply
from kombu_sns_sqs.errors import exception_for
from kombu_sns_sqs.messages import Delivery
from kombu_sns_sqs.receiving import arrivals
from kombu_sns_sqs.services import Services
from kombu_sns_sqs.settling.holdings import Verdict
from kombu_sns_sqs.topology.entities import Queue
from kombu_sns_sqs.topology.knowledge import Match
from kombu_sns_sqs.wire.deaths import Reason


def get_one(services: Services, queue: Queue) -> Delivery | None:
    """Receive one message that may be delivered, from the highest level that has one.

    Raises:
        Error: the receive failed.
    """
    # Of a temporary queue the process alone knows what it waits for, and will ask again: Celery looks for the result of
    # each task that is revoked, on the event loop of every worker.
    patience = services.options.get_wait_seconds if queue.lasting else 0
    if queue.lasting:
        # What was given back a moment ago is to be found.
        services.settle(services.options.read_timeout)
    for number in range(len(queue.urls) - 1, -1, -1):
        while True:
            reply = _receive(services, queue, queue.urls[number], wait=0 if number else patience)
            if not reply.value:
                break
            delivery = arrivals.read(reply.value[0], queue=queue, url=queue.urls[number])
            if services.settler.hold(delivery) is not Verdict.NEW:
                continue
            try:
                if _deliverable(services, queue, delivery, reply.date):
                    return delivery
            except BaseException:
                services.dead_letters.not_delivered(delivery)
                services.settler.release(delivery)
                raise
    return None


def _receive(services: Services, queue: Queue, url: str, *, wait: int) -> Reply:
    replies: list[Reply] = []
    services.blocking.call(
        operations.receive_message(
            identity=queue.identity,
            queue_url=url,
            max_messages=1,
            wait_seconds=wait,
            visibility_timeout=queue.lease_seconds or services.options.visibility_timeout,
        )
    ).then(replies.append)
    failure = replies[0].failure
    if failure is not None:
        raise exception_for(failure)
    return replies[0]


def _deliverable(services: Services, queue: Queue, delivery: Delivery, aws_now: float | None) -> bool:
    now = time.monotonic()
    verdict = arrivals.match(delivery, services.directory.bindings(queue.name), received_at=now)
    if verdict is Match.UNSURE:
        verdict = arrivals.match(delivery, services.binder.refresh(queue), received_at=now)
    arrival = arrivals.arrive(delivery, queue=queue, aws_now=aws_now, now=now)
    if verdict is Match.NO:
        services.settler.ack(delivery)
        return False
    if services.hopper.postpone(arrival, queue):
        return False
    reason = Reason.EXPIRED if arrival.expired(now) else services.dead_letters.overdue(delivery)
    if reason is not None:
        services.dead_letters.bury(delivery, reason)
    return reason is None
