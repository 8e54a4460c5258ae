"""Filter policies on the subscriptions: derived from the tags, widened at once, narrowed when all is quiet.

A policy is derived from tags read *after* the one before was written, again and again until nothing has changed in
between. So however many processes bind at once, the policy that stays covers all their bindings, although neither tags
nor subscriptions can be written conditionally.
https://docs.aws.amazon.com/sns/latest/dg/sns-subscription-filter-policies.html
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from kombu_sns_sqs.aws.control import ControlPlane
from kombu_sns_sqs.aws.reply import Reply
from kombu_sns_sqs.errors import exception_for
from kombu_sns_sqs.lifecycle import Housekeeper
from kombu_sns_sqs.logs import fields
from kombu_sns_sqs.options import Options
from kombu_sns_sqs.topology.entities import Queue, Topic
from kombu_sns_sqs.topology.filters import compile_policy, policy_covers
from kombu_sns_sqs.topology.levels import share_of
from kombu_sns_sqs.topology.subscriptions import Subscription
from kombu_sns_sqs.topology.tags import QueueTags

logger = logging.getLogger(__name__)

#: Rounds of deriving a policy after which whoever else is binding has the last word.
_ROUNDS: Final = 10
#: What SNS takes for "no filter".
_NO_FILTER: Final = "{}"


class Filtering:
    """Keeps the filter policies of one process's subscriptions. Safe for threads.

    Args:
        tags: reads the tags of a queue.
    """

    def __init__(
        self,
        *,
        control: ControlPlane,
        housekeeper: Housekeeper,
        tags: Callable[[Queue], QueueTags],
        options: Options,
    ) -> None:
        self._control = control
        self._housekeeper = housekeeper
        self._tags = tags
        self._options = options
        self._lock = threading.Lock()
        #: Held by who adds a binding, and by who narrows: a policy derived from the tags before the binding would, for
        #: the moment until it is derived again, keep back what the binding is for.
        self.turn = threading.RLock()
        self._quiet_at: dict[tuple[str, str], float] = {}

    def widen(self, queue: Queue, topic: Topic, routing_key: str | None, subscriptions: Sequence[Subscription]) -> None:
        """Make all policies cover a binding, or all that may be left (None); one that covers it already stays.

        The subscriptions have to have been read when the tag of the binding was there.

        Raises:
            Error: one could not be widened, so the new binding would not receive.
        """
        filtered = [
            one for one in subscriptions if not policy_covers(one.policy, [(topic.type, routing_key)], one.share)
        ]
        if not filtered:
            return
        logger.warning(
            "queue %r: the filter of its subscription to exchange %r is widened; AWS may take up to 15 minutes, in"
            " which messages for the new binding may not arrive",
            queue.name,
            topic.exchange,
            extra=fields("filter_widened", queue=queue.name, exchange=topic.exchange),
        )
        for subscription in filtered:
            self._settle(queue, topic, subscription, must=True)

    def narrow(self, queue: Queue, topic: Topic, subscriptions: Sequence[str]) -> None:
        """Write the narrowest policies that cover all bindings, to the subscription of each level."""
        for level, arn in enumerate(subscriptions):
            with self.turn:
                reply = self._control.call(topic.identity, "sns", "get_subscription_attributes", SubscriptionArn=arn)
                if reply.failure is None:
                    policy = reply.value["Attributes"].get("FilterPolicy")
                    share = share_of(level, len(subscriptions))
                    self._settle(queue, topic, Subscription(arn=arn, policy=policy, share=share), must=False)

    def narrow_when_quiet(self, queue: Queue, topic: Topic, subscriptions: Sequence[str]) -> None:
        """Narrow when no binding has been added for a while: a policy that has to be widened withholds messages."""
        if not self._options.filter_policies or topic.type == "fanout":
            return
        pair = (queue.name, topic.exchange)
        with self._lock:
            waiting = pair in self._quiet_at
            self._quiet_at[pair] = time.monotonic() + self._options.filter_delay
        if not waiting:
            self._housekeeper.call_later(
                self._options.filter_delay, lambda: self._narrow_if_quiet(queue, topic, subscriptions)
            )

    def _narrow_if_quiet(self, queue: Queue, topic: Topic, subscriptions: Sequence[str]) -> None:
        pair = (queue.name, topic.exchange)
        with self._lock:
            left = self._quiet_at[pair] - time.monotonic()
            if left <= 0:
                del self._quiet_at[pair]
        if left > 0:
            self._housekeeper.call_later(left, lambda: self._narrow_if_quiet(queue, topic, subscriptions))
        else:
            self.narrow(queue, topic, subscriptions)

    def _settle(self, queue: Queue, topic: Topic, subscription: Subscription, *, must: bool) -> None:
        current = subscription.policy
        for _ in range(_ROUNDS):
            policy = None
            if self._options.filter_policies:
                policy = compile_policy(_bound(self._tags(queue), topic), subscription.share)
            wanted = policy.json if policy is not None else _NO_FILTER
            if wanted == (current or _NO_FILTER):
                return
            reply = self._write(topic, subscription.arn, wanted)
            if reply.failure is not None:
                if must:
                    raise exception_for(reply.failure)
                # The 201st policy of a topic, or one AWS does not take: without a filter all is right, only dearer.
                told = fields("filter_refused", queue=queue.name, exchange=topic.exchange, cause=reply.failure)
                name, why = topic.exchange, reply.failure
                logger.info("queue %r has no filter on exchange %r: %s", queue.name, name, why, extra=told)
                return
            current = wanted

    def _write(self, topic: Topic, subscription: str, policy: str) -> Reply:
        return self._control.call(
            topic.identity,
            "sns",
            "set_subscription_attributes",
            SubscriptionArn=subscription,
            AttributeName="FilterPolicy",
            AttributeValue=policy,
        )


def _bound(tags: QueueTags, topic: Topic) -> list[tuple[str, str | None]]:
    return [(topic.type, binding.routing_key) for _, binding in tags.bindings_to(topic.exchange)]
