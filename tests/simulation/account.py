"""The control planes of SQS and SNS in virtual time, with every call noted."""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Protocol

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
    taken_at: float = float("-inf")
    busy_until: float = float("-inf")
    receipt: str = ""


@dataclass(frozen=True)
class _Interference:
    action: str
    what: str | Callable[[], object]
    of: str | None


class Refused(Exception):
    """An error of the service."""

    def __init__(self, kind: Kind, code: str) -> None:
        super().__init__(code)
        self.failure = Failure(kind=kind, code=code)


class Missing(Refused):
    """What is asked for is not there."""

    def __init__(self) -> None:
        super().__init__(Kind.MISSING, "NotFound")


#: Calls on tags, of which SQS and SNS take few; how many a second and account, as far as AWS says.
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html
#: https://docs.aws.amazon.com/general/latest/gr/sns.html
SQS_TAG_CALLS = frozenset({"tag_queue", "untag_queue", "list_queue_tags"})
SNS_TAG_CALLS = frozenset({"tag_resource", "untag_resource", "list_tags_for_resource"})
SQS_TAG_RATE = 5
SNS_TAG_RATE = 10


class Throttling:
    """Weather as AWS has it: of calls on tags it takes so many a second, and a second's worth at once."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._left = {SQS_TAG_CALLS: (float(SQS_TAG_RATE), 0.0), SNS_TAG_CALLS: (float(SNS_TAG_RATE), 0.0)}
        self._rates = {SQS_TAG_CALLS: SQS_TAG_RATE, SNS_TAG_CALLS: SNS_TAG_RATE}
        #: How many were refused, by process and action.
        self.refused: Counter[tuple[str, str]] = Counter()

    def __call__(self, process: str, action: str, arguments: dict[str, Any]) -> None:
        """Raise, where there were too many."""
        for actions, rate in self._rates.items():
            if action not in actions:
                continue
            left, since = self._left[actions]
            left = min(float(rate), left + rate * (self._now() - since))
            enough = left >= 1
            self._left[actions] = (left - enough, self._now())
            if not enough:
                self.refused[process, action] += 1
                raise Refused(Kind.THROTTLED, "Throttling")


class Patience(Protocol):
    """Waits before a repetition of what was throttled, or says that there is none."""

    def __call__(self, retry: int, *, briefly: bool) -> bool:
        """Wait for the ``retry``-th; ``briefly``, where the call has to end soon."""


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
        #: What is asked before a call, with process, action and arguments: it may raise.
        self.weather: Callable[[str, str, dict[str, Any]], None] = lambda *_: None
        self._ids = itertools.count(1)

    def control(self, process: str, patience: Patience = lambda _, **__: False) -> VirtualControl:
        """Give the calls of one process; ``patience`` waits before a repetition, or says that there is none."""
        return VirtualControl(self, process, patience)

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
            raise Refused(Kind.NAME_RESTS, "QueueDeletedRecently")
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
        queue.taken_at, queue.receipt = self.now(), str(next(self._ids))
        queue.busy_until = self.now() + VisibilityTimeout
        return {"Messages": [{"ReceiptHandle": queue.receipt}]}

    def change_message_visibility(self, QueueUrl: str, ReceiptHandle: str, VisibilityTimeout: int) -> Any:
        """Renew, or give back."""
        queue = self._queue(QueueUrl)
        if queue.receipt != ReceiptHandle or queue.busy_until <= self.now():
            raise Refused(Kind.STALE_RECEIPT, "MessageNotInflight")
        if self.now() + VisibilityTimeout > queue.taken_at + quotas.MAX_VISIBILITY_SECONDS:
            raise Refused(Kind.REFUSED, "InvalidParameterValue")
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
                    raise Refused(Kind.REFUSED, "InvalidParameter")
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

    def __init__(self, account: Account, process: str, patience: Patience) -> None:
        self._account = account
        self._briefly = self._knows_account = False
        self._process = process
        self._patience = patience

    def session(self, identity: Identity) -> Any:
        """Tell the region."""
        return SimpleNamespace(region=REGION)

    @contextlib.contextmanager
    def until(self, deadline: float) -> Iterator[None]:
        """Take no time at all, unless there is patience."""
        self._briefly = True
        yield
        self._briefly = False

    def account_id(self, identity: Identity) -> str:
        """Tell the account, which is asked for once."""
        if not self._knows_account:
            self._account.calls.append((self._account.now(), self._process, "get_caller_identity"))
            self._knows_account = True
        return NUMBER

    def call(self, identity: Identity, service: str, method: str, **arguments: Any) -> Reply:
        """Note a call and carry it out, again where it is throttled and the process has patience."""
        for retry in itertools.count(1):
            reply = self._attempt(identity, method, arguments)
            if (
                reply.failure is None
                or reply.failure.kind is not Kind.THROTTLED
                or not self._patience(retry, briefly=self._briefly)
            ):
                return reply
        raise AssertionError

    def _attempt(self, identity: Identity, method: str, arguments: dict[str, Any]) -> Reply:
        account = self._account
        account.calls.append((account.now(), self._process, method))
        interference = account.interference(method, self._process)
        try:
            account.weather(self._process, method, arguments)
            if method == "delete_queue":
                account.deleted.append((self._process, account._queue(arguments["QueueUrl"]).tags))
            if isinstance(interference, str) and interference:
                raise Refused(kind_of(interference), interference)
            topic = str(arguments.get("TopicArn") or arguments.get("SubscriptionArn", ""))
            if any(topic.startswith(arn) and identity != owner for arn, owner in account.owners.items()):
                raise Refused(Kind.DENIED, "AuthorizationError")
            value = getattr(account, method)(**arguments) or {}
            if not isinstance(interference, str):
                interference()
            return Reply(value=value)
        except Refused as exc:
            return Reply(failure=replace(exc.failure, action=method))


def _url(name: str) -> str:
    return f"https://sqs.{REGION}.amazonaws.com/{NUMBER}/{name}"


def _name(url: str) -> str:
    return url.rpartition("/")[2]


def _page(rows: str, found: list[Any], first: int, size: int) -> dict[str, Any]:
    more = {"NextToken": str(first + size)} if len(found) > first + size else {}
    return {rows: found[first : first + size], **more}
