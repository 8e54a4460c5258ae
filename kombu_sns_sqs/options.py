"""The options: one frozen value, validated at birth; :mod:`kombu_sns_sqs.option_reading` reads it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from kombu_sns_sqs import quotas
from kombu_sns_sqs.addressing import check_prefix
from kombu_sns_sqs.backoff import BackoffPolicy, Retries
from kombu_sns_sqs.errors import AddressingError, OptionsError
from kombu_sns_sqs.identity import Identity

if TYPE_CHECKING:
    from kombu_sns_sqs.monitoring.hooks import Hooks
    from kombu_sns_sqs.settling.losses import LostLease

Topology = Literal["create", "validate", "assume"]
Envelope = Literal["native", "sqs"]


class Settings(Mapping[str, Any]):
    """A mapping as a value can hold it: it cannot be changed, and equal ones have equal hashes.

    Args:
        values: whatever was given, nested or not.
    """

    __slots__ = ("_hash", "_values")

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        self._values = copy.deepcopy(dict(values or {}))
        self._hash = hash(json.dumps(self._values, sort_keys=True, default=repr))

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"Settings({sorted(self._values)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class PredefinedQueue:
    """A queue that exists already: never created, never deleted, addressed by its URL.

    ``url`` is the queue URL; ``identity`` signs the requests on it. The rest is as the options of the same names, for
    this queue alone.
    """

    name: str
    url: str
    identity: Identity
    backoff_policy: BackoffPolicy | None = None
    backoff_tasks: frozenset[str] | None = None
    visibility_timeout: int | None = None

    def __post_init__(self) -> None:
        """Refuse what is out of range, naming the option."""
        if self.visibility_timeout is not None:
            name = f"predefined_queues[{self.name!r}]['visibility_timeout']"
            _within(name, self.visibility_timeout, 2, quotas.MAX_VISIBILITY_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class PredefinedExchange:
    """A topic that exists already: never created, never deleted, addressed by its ARN."""

    name: str
    arn: str
    identity: Identity


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Everything that can be set, with its unit and range.

    Args:
        identity: who signs and where requests go; its fields are options of their own (``region``, ``profile``, …).
        queue_name_prefix: put before every queue and topic name, at most 40 of A-Z a-z 0-9 _ -; the path of the URL
            says the same.
        topology: ``create`` makes what is missing and warns where something differs; ``validate`` makes nothing and
            raises where something is missing or differs; ``assume`` makes no call but send, receive, delete,
            change visibility and publish, and GetQueueUrl for a queue that is not predefined; no binding is made.
        predefined_queues: ``{name: {"url": …, "region": …, "access_key_id": …}}``, as in kombu's sqs.
        predefined_exchanges: ``{name: {"arn": …}}``.
        queue_tags: tags for every queue and topic that is created.
        queue_attributes: ``{attribute: value}`` for CreateQueue (``sqs-creation-attributes`` in kombu's sqs).
        wait_time_seconds: how long a receive waits for a message, 0 to 20 seconds.
        get_wait_seconds: how long a synchronous get waits before it says that a queue is empty, 0 to 20 seconds. SQS
            asks all its servers only where this is 1 or more. Temporary queues are never waited for.
        visibility_timeout: the lease of a message in seconds, 2 to 43,200. It is renewed for as long as the message
            is held, so a short one is safe: it is how long a killed worker's messages stay away.
        prefetch_limit: messages held at most per channel where the prefetch count is 0 (unlimited), 1 to 100,000.
        overflow_seconds: how long a message that arrived over the prefetch window is kept before it is given back.
        ack_delay: longest time in seconds an ack waits for others to share its request, 0 to 5.
        event_exchange: the exchange of Celery's events, whose transient messages are sent in the background, ten to a
            request; empty: none are.
        event_delay: longest time in seconds an event waits for others to share its request, 0 to 60.
        shutdown_timeout: longest time in seconds a stop waits for acks, give-backs, events and deletions to be carried
            out; for polls in flight it waits until they end.
        eta_by_sqs: whether SQS keeps tasks with an ETA or a countdown until they are due; False: Celery does.
        filter_policies: whether subscriptions get filter policies at all. Without, SNS delivers every message of an
            exchange to every bound queue, and the consumer drops what does not belong.
        filter_delay: seconds without a new binding before a subscription is narrowed, 0 to 86,400.
        policy_settling: seconds to wait after SNS was let into a queue that was not made by this transport.
        queue_settling: seconds for which a queue that was just made is not used, 0 to 60; None: 1, as AWS asks for, and
            none where the endpoint is on this machine.
        bindings_max_age: seconds after which bindings are read again before a message is dropped for having none.
        backoff_policy: how long a message stays away that the application requeues, by its receive count: a table
            ``{count: seconds}``, an exponential back-off, or a callable; None: it comes back at once.
        backoff_tasks: the Celery tasks the policy is for; empty: all messages. A listed task that is rejected without
            requeue is retried, too, as in kombu's sqs.
        on_lease_lost: called with a :class:`~kombu_sns_sqs.LostLease` for each message in hand that may run a second
            time elsewhere, in the thread that renews leases: it must be quick.
        hooks: told of every message and request, see :class:`~kombu_sns_sqs.Hooks`; or the name of an adapter.
        sweep_period: seconds between two signs of life of a process that has temporary queues, at most, 0.5 to 86,400;
            without one for about two periods its queues are deleted by another. 0: no signs, and no deleting either.
        compat: ``sqs`` writes messages as kombu's sqs does; both forms are always read.
        account_id: the AWS account, where it cannot be asked for (12 digits).
        connect_timeout: seconds to wait for a connection, above 0.
        read_timeout: seconds to wait for an answer, above 0; a long poll has its wait on top.
        verify: False turns the check of TLS certificates off; a path names a CA bundle.
        client_config: keyword arguments for ``botocore.config.Config`` of the control plane.

    Raises:
        OptionsError: a value out of range; the message names the option.
    """

    identity: Identity = field(default_factory=Identity)
    queue_name_prefix: str = ""
    topology: Topology = "create"
    predefined_queues: tuple[PredefinedQueue, ...] = ()
    predefined_exchanges: tuple[PredefinedExchange, ...] = ()
    queue_tags: Settings = field(default_factory=Settings)
    queue_attributes: Settings = field(default_factory=Settings)
    wait_time_seconds: int = quotas.MAX_WAIT_SECONDS
    get_wait_seconds: int = 1
    visibility_timeout: int = 60
    prefetch_limit: int = 1000
    overflow_seconds: float = 5.0
    ack_delay: float = 0.05
    event_exchange: str = "celeryev"
    event_delay: float = 0.5
    shutdown_timeout: float = 10.0
    eta_by_sqs: bool = True
    filter_policies: bool = True
    filter_delay: float = 60.0
    policy_settling: float = 60.0
    queue_settling: float | None = None
    bindings_max_age: float = 5.0
    backoff_policy: BackoffPolicy | None = None
    backoff_tasks: frozenset[str] = frozenset()
    on_lease_lost: Callable[[LostLease], object] | None = None
    hooks: Hooks | None = None
    sweep_period: float = 420.0
    compat: Envelope = "native"
    account_id: str | None = None
    connect_timeout: float = 5.0
    read_timeout: float = 10.0
    verify: bool | str = True
    client_config: Settings = field(default_factory=Settings)

    def __post_init__(self) -> None:
        """Refuse what is out of range, naming the option."""
        _prefix(self.queue_name_prefix)
        _within("wait_time_seconds", self.wait_time_seconds, 0, quotas.MAX_WAIT_SECONDS)
        _within("get_wait_seconds", self.get_wait_seconds, 0, quotas.MAX_WAIT_SECONDS)
        _within("visibility_timeout", self.visibility_timeout, 2, quotas.MAX_VISIBILITY_SECONDS)
        _within("prefetch_limit", self.prefetch_limit, 1, 100_000)
        _within("overflow_seconds", self.overflow_seconds, 0, 3600)
        _within("ack_delay", self.ack_delay, 0, 5)
        _within("event_delay", self.event_delay, 0, 60)
        _within("shutdown_timeout", self.shutdown_timeout, 0, 3600)
        _within("filter_delay", self.filter_delay, 0, 86_400)
        _within("policy_settling", self.policy_settling, 0, 3600)
        _within("queue_settling", self.queue_settling or 0, 0, 60)
        _within("bindings_max_age", self.bindings_max_age, 0, 86_400)
        if self.sweep_period:
            _within("sweep_period", self.sweep_period, 0.5, 86_400)
        _within("connect_timeout", self.connect_timeout, 0.1, 300)
        _within("read_timeout", self.read_timeout, 0.1, 300)
        _one_of("topology", self.topology, ("create", "validate", "assume"))
        _one_of("compat", self.compat, ("native", "sqs"))
        if self.account_id is not None and not (len(self.account_id) == 12 and self.account_id.isdigit()):  # noqa: PLR2004
            raise OptionsError(f"account_id is {self.account_id!r}: an AWS account has 12 digits")

    def predefined_queue(self, name: str) -> PredefinedQueue | None:
        """Find the predefined queue of that AMQP name."""
        return next((queue for queue in self.predefined_queues if queue.name == name), None)

    def retries_of(self, name: str) -> Retries:
        """Give what is retried with back-off in a queue, and how."""
        queue = self.predefined_queue(name)
        policy = self.backoff_policy if queue is None else queue.backoff_policy or self.backoff_policy
        own_tasks = None if queue is None else queue.backoff_tasks
        return Retries(policy=policy, tasks=self.backoff_tasks if own_tasks is None else own_tasks)

    def predefined_exchange(self, name: str) -> PredefinedExchange | None:
        """Find the predefined exchange of that AMQP name."""
        return next((exchange for exchange in self.predefined_exchanges if exchange.name == name), None)


def _prefix(prefix: str) -> None:
    try:
        check_prefix(prefix)
    except AddressingError as exc:
        raise OptionsError(f"queue_name_prefix, or the path of the broker URL: {exc}") from None


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise OptionsError(f"{name} is {value}: it must be between {low} and {high}")


def _one_of(name: str, value: str, valid: tuple[str, ...]) -> None:
    if value not in valid:
        raise OptionsError(f"{name} is {value!r}: it must be one of {', '.join(map(repr, valid))}")
