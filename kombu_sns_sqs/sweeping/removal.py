"""Taking away what dead processes have left: subscriptions first, as nothing leads to those of a queue that is gone."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

from kombu_sns_sqs.aws.control import ControlPlane
from kombu_sns_sqs.errors import AccessDenied, ChannelFailed, Kind, NotFound, exception_for
from kombu_sns_sqs.identity import Identity
from kombu_sns_sqs.logs import fields
from kombu_sns_sqs.options import Options
from kombu_sns_sqs.sweeping.vigil import Left
from kombu_sns_sqs.topology.directory import Directory
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
            self._steps.append(partial(self._find_subscriptions, exchange, (), None))
        for queue in left:
            self._steps.append(partial(self._delete, queue))
        #: Exchanges whose subscriptions could not be taken away: the queues that are bound to them stay for now.
        self._kept: set[str] = set()
        self._deleted: list[str] = []
        self._unsubscribed = 0

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return not self._steps

    def step(self) -> None:
        """Do the next call.

        Raises:
            ChannelFailed: the service refuses this one thing, which is left; whoever sweeps later comes upon it again.
            Error: it would refuse all else, too, or does not answer; the next step is the same.
        """
        step = self._steps.popleft()
        try:
            step()
        except Exception as exc:
            if not isinstance(exc, ChannelFailed) or isinstance(exc, AccessDenied):
                self._steps.appendleft(step)
            raise
        finally:
            if self.done and self._deleted:
                self._report()

    def _report(self) -> None:
        logger.warning(
            "deleted %d temporary queues and %d subscriptions that %d processes had left when they were killed: %s",
            len(self._deleted),
            self._unsubscribed,
            len(self._owners),
            ", ".join(self._owners),
            extra=fields("swept", queues=sorted(self._deleted), count=len(self._deleted)),
        )

    def _find_subscriptions(self, exchange: str, found: tuple[str, ...], token: str | None) -> None:
        """Read a page of a topic's subscriptions; with the last, plan to take away those of the queues that go.

        None is taken away before: that might shift what is on the next page.
        """
        arn, identity = self._directory.topic_address(exchange)
        with self._keeping(exchange):
            try:
                rows, token = self._control.page(
                    identity, "sns", "list_subscriptions_by_topic", "Subscriptions", token, TopicArn=arn
                )
            except NotFound:
                return
        arns = {self._directory.queue_arn(name) for name in self._names}
        found += tuple(row["SubscriptionArn"] for row in rows if row["Endpoint"] in arns)
        if token is not None:
            self._steps.appendleft(partial(self._find_subscriptions, exchange, found, token))
            return
        for subscription in found:
            # What is not confirmed has no ARN.
            if subscription.startswith("arn:"):
                self._steps.appendleft(partial(self._unsubscribe, exchange, identity, subscription))

    def _unsubscribe(self, exchange: str, identity: Identity, subscription: str) -> None:
        with self._keeping(exchange):
            self._subscriptions.remove(identity, subscription)
        self._unsubscribed += 1

    def _delete(self, queue: Left) -> None:
        if queue.exchanges & self._kept:
            return
        reply = self._control.call(self._options.identity, "sqs", "delete_queue", QueueUrl=queue.url)
        if reply.failure is not None and reply.failure.kind is not Kind.MISSING:
            raise exception_for(reply.failure)
        self._deleted.append(queue.name)

    @contextmanager
    def _keeping(self, exchange: str) -> Iterator[None]:
        try:
            yield
        except ChannelFailed:
            self._kept.add(exchange)
            raise
