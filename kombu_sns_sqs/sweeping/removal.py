"""Taking away what dead processes have left: subscriptions first, as nothing leads to those of a queue that is gone."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from kombu_sns_sqs.aws.control import ControlPlane
from kombu_sns_sqs.errors import ConnectionFailed, Kind, NotFound, exception_for
from kombu_sns_sqs.identity import Identity
from kombu_sns_sqs.logs import fields
from kombu_sns_sqs.options import Options
from kombu_sns_sqs.sweeping.vigil import Left
from kombu_sns_sqs.topology.directory import Directory
from kombu_sns_sqs.topology.entities import Topic
from kombu_sns_sqs.topology.subscriptions import Subscriptions

logger = logging.getLogger(__name__)


class Removal:
    """The removal of what some dead processes have left, step by step. Belongs to one thread.

    Args:
        dead: what each of them has left.
    """

    def __init__(
        self,
        dead: Mapping[str, Sequence[Left]],
        *,
        control: ControlPlane,
        directory: Directory,
        subscriptions: Subscriptions,
        options: Options,
    ) -> None:
        self._control = control
        self._directory = directory
        self._subscriptions = subscriptions
        self._options = options
        self._owners = sorted(dead)
        left = [queue for queues in dead.values() for queue in queues]
        self._names = {queue.name for queue in left}
        self._steps: deque[Callable[[], None]] = deque()
        for exchange in sorted({exchange for queue in left for exchange in queue.exchanges}):
            self._steps.append(partial(self._find_subscriptions, exchange))
        for queue in left:
            self._steps.append(partial(self._delete, queue.url))
        self._unsubscribed = 0

    def step(self) -> bool:
        """Do the next call, or the few that list the subscriptions of a topic; False where nothing is left to do.

        Raises:
            ConnectionFailed: try again.
            Error: the service refuses.
        """
        step = self._steps.popleft()
        try:
            step()
        except ConnectionFailed:
            self._steps.appendleft(step)
            raise
        if not self._steps:
            logger.warning(
                "deleted %d temporary queues and %d subscriptions that %d processes had left when they were killed: %s",
                len(self._names),
                self._unsubscribed,
                len(self._owners),
                ", ".join(self._owners),
                extra=fields("swept", queues=sorted(self._names), count=len(self._names)),
            )
        return bool(self._steps)

    def _find_subscriptions(self, exchange: str) -> None:
        arn, identity = self._directory.topic_address(exchange)
        try:
            found = self._subscriptions.of_topic(Topic(exchange=exchange, type="direct", arn=arn, identity=identity))
        except NotFound:
            return
        arns = {self._directory.queue_arn(name) for name in self._names}
        for queue_arn, subscription in found:
            if queue_arn in arns:
                self._steps.appendleft(partial(self._unsubscribe, identity, subscription))

    def _unsubscribe(self, identity: Identity, subscription: str) -> None:
        self._subscriptions.remove(identity, subscription)
        self._unsubscribed += 1

    def _delete(self, url: str) -> None:
        reply = self._control.call(self._options.identity, "sqs", "delete_queue", QueueUrl=url)
        if reply.failure is not None and reply.failure.kind is not Kind.MISSING:
            raise exception_for(reply.failure)
