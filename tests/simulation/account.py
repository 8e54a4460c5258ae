"""The control planes of SQS and SNS in virtual time, with every call noted."""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from kombu_sns_sqs import quotas
from kombu_sns_sqs.aws.control import ControlPlane
from kombu_sns_sqs.aws.reply import Reply
from kombu_sns_sqs.errors import Failure, Kind, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kombu_sns_sqs.identity import Identity

REGION = "eu-central-1"
NUMBER = "123456789012"
_ARN = f"{REGION}:{NUMBER}"
#: Rows of a page of ListSubscriptionsByTopic.
_ROWS = 100


@dataclass
class _Queue:
    attributes: dict[str, str]
    tags: dict[str, str]
    #: Of a FIFO queue with one group: its messages' ids, and until when one of them is in flight.
    messages: list[str] = field(default_factory=list)
    busy_until: float = float("-inf")
    receipt: str = ""


@dataclass(frozen=True)
class _Interference:
    action: str
    what: str | Callable[[], object]
    of: str | None


class Missing(Exception):
    """What is asked for is not there."""


class Refused(Exception):
    """AWS refuses."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Account:
    """Queues, topics and subscriptions, and who has called what.

    Args:
        now: tells the time.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self.queues: dict[str, _Queue] = {}
        self.topics: dict[str, dict[str, str]] = {}
        #: Subscription ARN: topic ARN and queue ARN.
        self.subscriptions: dict[str, tuple[str, str]] = {}
        #: Subscription ARN: filter policy.
        self.filters: dict[str, str] = {}
        #: (time, process, action) of every call.
        self.calls: list[tuple[float, str, str]] = []
        #: Who deleted a queue: (process, tags of the queue).
        self.deleted: list[tuple[str, dict[str, str]]] = []
        #: Who alone may do something to a topic, by ARN.
        self.owners: dict[str, Identity] = {}
        self._interferences: list[_Interference] = []
        #: When queues were deleted, by name.
        self._deleted_at: dict[str, float] = {}
        self._ids = itertools.count(1)

    def control(self, process: str) -> VirtualControl:
        """Give the calls of one process."""
        return VirtualControl(self, process)

    def count(self, process: str, since: float = float("-inf"), until: float = float("inf")) -> Counter[str]:
        """Count the calls of a process within a time, by action."""
        return Counter(action for at, who, action in self.calls if who == process and since <= at < until)

    def interfere(
        self, action: str, what: str | Callable[[], object], *, of: str | None = None, times: int = 1
    ) -> None:
        """Refuse the next calls of an action with a code, or have something else happen right after the next."""
        self._interferences += [_Interference(action, what, of) for _ in range(times)]

    def interference(self, action: str, process: str) -> str | Callable[[], object]:
        """Give what happens to a call; an empty code is nothing."""
        for one in self._interferences:
            if one.action == action and one.of in (None, process):
                self._interferences.remove(one)
                return one.what
        return ""

    # -- SQS -------------------------------------------------------------------------------------------------

    def create_queue(self, QueueName: str, Attributes: dict[str, str], tags: dict[str, str]) -> Any:
        """Make a queue, or find it; not under a name that was deleted less than a minute ago."""
        if self.now() < self._deleted_at.get(QueueName, float("-inf")) + quotas.QUEUE_NAME_REST_SECONDS:
            raise Refused("QueueDeletedRecently")
        self.queues.setdefault(QueueName, _Queue(dict(Attributes), dict(tags)))
        return {"QueueUrl": _url(QueueName)}

    def get_queue_url(self, QueueName: str) -> Any:
        """Find a queue."""
        if QueueName not in self.queues:
            raise Missing
        return {"QueueUrl": _url(QueueName)}

    def delete_queue(self, QueueUrl: str) -> Any:
        """Delete a queue; its subscriptions stay."""
        self._queue(QueueUrl)
        del self.queues[_name(QueueUrl)]
        self._deleted_at[_name(QueueUrl)] = self.now()

    def get_queue_attributes(self, QueueUrl: str, AttributeNames: list[str]) -> Any:
        """Read attributes and counts."""
        queue = self._queue(QueueUrl)
        flying = bool(queue.messages) and queue.busy_until > self.now()
        counts = {
            "ApproximateNumberOfMessages": str(len(queue.messages) - flying),
            "ApproximateNumberOfMessagesNotVisible": str(int(flying)),
            "QueueArn": f"arn:aws:sqs:{_ARN}:{_name(QueueUrl)}",
        }
        known = {**queue.attributes, **counts}
        return {
            "Attributes": {name: known[name] for name in known if AttributeNames == ["All"] or name in AttributeNames}
        }

    def list_queues(self, QueueNamePrefix: str, MaxResults: int, NextToken: str = "0") -> Any:
        """List a page of queues."""
        names = sorted(name for name in self.queues if name.startswith(QueueNamePrefix))
        return _page("QueueUrls", [_url(name) for name in names], int(NextToken), MaxResults)

    def list_queue_tags(self, QueueUrl: str) -> Any:
        """Read the tags of a queue."""
        return {"Tags": dict(self._queue(QueueUrl).tags)}

    def tag_queue(self, QueueUrl: str, Tags: dict[str, str]) -> Any:
        """Add tags to a queue."""
        self._queue(QueueUrl).tags.update(Tags)

    def untag_queue(self, QueueUrl: str, TagKeys: list[str]) -> Any:
        """Take tags from a queue."""
        for key in TagKeys:
            self._queue(QueueUrl).tags.pop(key, None)

    def set_queue_attributes(self, QueueUrl: str, Attributes: dict[str, str]) -> Any:
        """Set attributes of a queue."""
        self._queue(QueueUrl).attributes.update(Attributes)

    def send_message(self, QueueUrl: str, MessageDeduplicationId: str, **_: str) -> Any:
        """Send to a FIFO queue."""
        messages = self._queue(QueueUrl).messages
        if MessageDeduplicationId not in messages:
            messages.append(MessageDeduplicationId)

    def receive_message(self, QueueUrl: str, VisibilityTimeout: int, **_: int) -> Any:
        """Receive from a FIFO queue with one group: nothing while a message is in flight."""
        queue = self._queue(QueueUrl)
        if not queue.messages or queue.busy_until > self.now():
            return {}
        queue.busy_until, queue.receipt = self.now() + VisibilityTimeout, str(next(self._ids))
        return {"Messages": [{"ReceiptHandle": queue.receipt}]}

    def change_message_visibility(self, QueueUrl: str, ReceiptHandle: str, VisibilityTimeout: int) -> Any:
        """Renew, or give back."""
        queue = self._queue(QueueUrl)
        if queue.receipt != ReceiptHandle or queue.busy_until <= self.now():
            raise Missing
        queue.busy_until = self.now() + VisibilityTimeout

    # -- SNS -------------------------------------------------------------------------------------------------

    def create_topic(self, Name: str, Attributes: dict[str, str], Tags: list[dict[str, str]]) -> Any:
        """Make a topic."""
        arn = f"arn:aws:sns:{_ARN}:{Name}"
        self.topics.setdefault(arn, {tag["Key"]: tag["Value"] for tag in Tags})
        return {"TopicArn": arn}

    def delete_topic(self, TopicArn: str) -> Any:
        """Delete a topic, and its subscriptions with it."""
        self.topics.pop(TopicArn, None)
        self.subscriptions = {arn: pair for arn, pair in self.subscriptions.items() if pair[0] != TopicArn}

    def list_tags_for_resource(self, ResourceArn: str) -> Any:
        """Read the tags of a topic."""
        return {"Tags": [{"Key": key, "Value": value} for key, value in self._topic(ResourceArn).items()]}

    def get_topic_attributes(self, TopicArn: str) -> Any:
        """Find a topic."""
        self._topic(TopicArn)

    def subscribe(self, TopicArn: str, Endpoint: str, Attributes: dict[str, str], **_: Any) -> Any:
        """Subscribe a queue."""
        self._topic(TopicArn)
        policy = Attributes.get("FilterPolicy", "{}")
        for arn, pair in self.subscriptions.items():
            if pair == (TopicArn, Endpoint):
                if self.filters[arn] != policy:
                    raise Refused("InvalidParameter")
                return {"SubscriptionArn": arn}
        arn = f"{TopicArn}:{next(self._ids)}"
        self.subscriptions[arn], self.filters[arn] = (TopicArn, Endpoint), policy
        return {"SubscriptionArn": arn}

    def unsubscribe(self, SubscriptionArn: str) -> Any:
        """Take a subscription away."""
        self.subscriptions.pop(SubscriptionArn, None)

    def get_subscription_attributes(self, SubscriptionArn: str) -> Any:
        """Read a subscription."""
        if SubscriptionArn not in self.subscriptions:
            raise Missing
        return {"Attributes": {"FilterPolicy": self.filters[SubscriptionArn]}}

    def set_subscription_attributes(self, SubscriptionArn: str, AttributeName: str, AttributeValue: str) -> Any:
        """Set its filter."""
        self.filters[SubscriptionArn] = AttributeValue

    def list_subscriptions_by_topic(self, TopicArn: str, NextToken: str = "0") -> Any:
        """List a page of subscriptions."""
        self._topic(TopicArn)
        rows = [
            {"SubscriptionArn": arn, "Endpoint": queue, "Protocol": "sqs"}
            for arn, (topic, queue) in self.subscriptions.items()
            if topic == TopicArn
        ]
        return _page("Subscriptions", rows, int(NextToken), _ROWS)

    def _queue(self, url: str) -> _Queue:
        if _name(url) not in self.queues:
            raise Missing
        return self.queues[_name(url)]

    def _topic(self, arn: str) -> dict[str, str]:
        if arn not in self.topics:
            raise Missing
        return self.topics[arn]


class VirtualControl(ControlPlane):
    """The calls of one process, answered at once."""

    def __init__(self, account: Account, process: str) -> None:
        self._account = account
        self._process = process

    def session(self, identity: Identity) -> Any:
        """Tell the region."""
        return SimpleNamespace(region=REGION)

    @contextlib.contextmanager
    def until(self, deadline: float) -> Iterator[None]:
        """Take no time at all."""
        yield

    def account_id(self, identity: Identity) -> str:
        """Tell the account."""
        return NUMBER

    def call(self, identity: Identity, service: str, method: str, **arguments: Any) -> Reply:
        """Note a call and carry it out."""
        account = self._account
        account.calls.append((account.now(), self._process, method))
        interference = account.interference(method, self._process)
        try:
            if method == "delete_queue":
                account.deleted.append((self._process, account._queue(arguments["QueueUrl"]).tags))
            if isinstance(interference, str) and interference:
                raise Refused(interference)
            topic = str(arguments.get("TopicArn") or arguments.get("SubscriptionArn", ""))
            if any(topic.startswith(arn) and identity != owner for arn, owner in account.owners.items()):
                raise Refused("AuthorizationError")
            value = getattr(account, method)(**arguments) or {}
            if not isinstance(interference, str):
                interference()
            return Reply(value=value)
        except Missing:
            return Reply(failure=Failure(kind=Kind.MISSING, code="NotFound", action=method))
        except Refused as exc:
            return Reply(failure=Failure(kind=kind_of(exc.code), code=exc.code, action=method))


def _url(name: str) -> str:
    return f"https://sqs.{REGION}.amazonaws.com/{NUMBER}/{name}"


def _name(url: str) -> str:
    return url.rpartition("/")[2]


def _page(rows: str, found: list[Any], first: int, size: int) -> dict[str, Any]:
    more = {"NextToken": str(first + size)} if len(found) > first + size else {}
    return {rows: found[first : first + size], **more}
