"""Filter policies and queue policies where they act: in an SNS that was not written here.

Where the engines are looked for is told in ``tests/conftest.py``; one that is not installed is skipped.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from kombu_sns_sqs.addressing import queue_name, topic_name
from kombu_sns_sqs.quotas import MAX_RECEIVE_MESSAGES
from kombu_sns_sqs.topology.filters import compile_policy, routing_attributes
from kombu_sns_sqs.topology.levels import Share, priority_attributes
from kombu_sns_sqs.topology.patterns import exchange_matches
from kombu_sns_sqs.topology.policies import merge_statement, sns_statement, topics_arn
from tests.brokers.emulators import Emulator, Localstack, Ministack, Moto

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

REGION = "us-east-1"
PATIENCE = 20.0  # seconds for a delivery that is known to be due

BoundKeys = tuple[tuple[str, str], ...]

word = st.sampled_from(["a", "b", "", "cc", 'q"', "ü"])
routing_keys = st.lists(word, max_size=4).map(".".join)
patterns = st.lists(st.one_of(word, st.sampled_from(["*", "#"])), max_size=4).map(".".join)
bound_keys = st.lists(st.tuples(st.sampled_from(["direct", "topic"]), patterns), min_size=1, max_size=3).map(tuple)

KEYS = (
    "",
    ".",
    "a",
    "b",
    "a.b",
    "a.",
    ".a",
    "a.b.c",
    "a.x.c",
    "b.c",
    "x.a.b",
    "a.b.c.d",
    "a-b",
    'a.q".c',
    "a.ü",
    "A.b",
)
TABLE: tuple[BoundKeys, ...] = (
    (("direct", "a.b"),),
    (("direct", ""),),
    (("direct", "a"), ("direct", "b.c")),
    (("topic", "#"),),
    (("topic", "a.#"),),
    (("topic", "#.b"),),
    (("topic", "a.*"),),
    (("topic", "*"),),
    (("topic", "*.*"),),
    (("topic", "*.#"),),
    (("topic", "*.b"),),
    (("topic", "a.*.c"),),
    (("topic", "a.#.c"),),
    (("topic", ".#"),),
    (("topic", "#."),),
    (("topic", "a.*"), ("topic", "*.*.b")),
    (("topic", "a.*"), ("topic", "b.#"), ("direct", "x.a.b")),
    (("topic", 'a.q".c'),),
    (("topic", "a.ü"),),
    (("fanout", ""),),
)


@dataclass(frozen=True, kw_only=True)
class Engine:
    """An SNS and an SQS behind one endpoint, and how to ask them in a test."""

    sns: Any
    sqs: Any
    enforces_queue_policies: bool

    def topic(self, name: str) -> str:
        """Create a topic."""
        arn: str = self.sns.create_topic(Name=topic_name(name))["TopicArn"]
        return arn

    def queue(self, name: str, *, topics: str, account_id: str) -> str:
        """Create a queue that takes what comes from the topics; give its URL."""
        aws_name = queue_name(name)
        arn = f"arn:aws:sqs:{REGION}:{account_id}:{aws_name}"
        policy = merge_statement(None, sns_statement(queue_arn=arn, topics_arn=topics, account_id=account_id))
        url: str = self.sqs.create_queue(QueueName=aws_name, Attributes={"Policy": policy})["QueueUrl"]
        return url

    def arn_of(self, queue_url: str) -> str:
        """Look up a queue's ARN."""
        answer = self.sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])
        arn: str = answer["Attributes"]["QueueArn"]
        return arn

    def subscribe(self, topic: str, queue_url: str, policy_json: str | None) -> None:
        """Subscribe a queue with raw delivery, filtered or not."""
        attributes = {"RawMessageDelivery": "true"} | ({"FilterPolicy": policy_json} if policy_json else {})
        self.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=self.arn_of(queue_url), Attributes=attributes)

    def publish(self, topic: str, routing_key: str, priority: int = 0) -> None:
        """Publish a message whose body tells its routing key, and its priority if it has one."""
        self.sns.publish(
            TopicArn=topic,
            Message=f"key={routing_key}" + (f"!{priority}" if priority else ""),
            MessageAttributes={**routing_attributes(routing_key), **priority_attributes(priority)},
        )

    def received(self, queue_url: str, *, due: Iterable[str]) -> set[str]:
        """Receive until all that is due has come and nothing more does; give the routing keys."""
        missing, seen = set(due), set()
        deadline = time.monotonic() + PATIENCE
        while True:
            wait = 1 if missing else 0
            answer = self.sqs.receive_message(
                QueueUrl=queue_url,
                MaxNumberOfMessages=MAX_RECEIVE_MESSAGES,
                WaitTimeSeconds=wait,
                VisibilityTimeout=600,
            )
            keys = {message["Body"].removeprefix("key=") for message in answer.get("Messages", ())}
            seen |= keys
            missing -= keys
            if not keys and (not missing or time.monotonic() > deadline):
                return seen


def account_of(arn: str) -> str:
    """Read the account out of an ARN."""
    return arn.split(":")[4]


def connect(emulator: Emulator) -> Engine:
    """Make the clients of a running emulator."""
    common: dict[str, Any] = {
        "endpoint_url": emulator.endpoint_url,
        "region_name": REGION,
        "aws_access_key_id": emulator.access_key,
        "aws_secret_access_key": emulator.secret_key,
        "config": Config(connect_timeout=5, read_timeout=30, retries={"max_attempts": 2}),
    }
    return Engine(
        sns=boto3.client("sns", **common),
        sqs=boto3.client("sqs", **common),
        enforces_queue_policies=isinstance(emulator, Ministack),
    )


@pytest.fixture(scope="module", params=[Ministack, Moto, Localstack], ids=lambda kind: kind.name)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Start one engine after the other, for these tests alone."""
    emulator = request.param()
    if (reason := emulator.available()) is not None:
        pytest.skip(f"{emulator.name}: {reason}")
    try:
        emulator.start()
        yield connect(emulator)
    finally:
        emulator.stop()


@pytest.fixture
def strict_engine(engine: Engine) -> Engine:
    """Give the engine if it enforces the policies of queues."""
    if not engine.enforces_queue_policies:
        pytest.skip("this engine delivers whatever the policy of the queue says")
    return engine


def deliver(engine: Engine, bound: Sequence[BoundKeys], keys: Sequence[str]) -> list[set[str]]:
    """Bind a queue to one topic for each set of bindings, publish the keys, and give what each queue received."""
    run = uuid.uuid4().hex[:8]
    topic = engine.topic(f"filters-{run}")
    queues = [
        engine.queue(f"q-{run}-{number}", topics=topic, account_id=account_of(topic)) for number in range(len(bound))
    ]
    for queue, bindings in zip(queues, bound, strict=True):
        policy = compile_policy(bindings)
        engine.subscribe(topic, queue, policy and policy.json)
    for key in keys:
        engine.publish(topic, key)
    return [
        engine.received(queue, due=[key for key in keys if taken(bindings, key)])
        for queue, bindings in zip(queues, bound, strict=True)
    ]


def taken(bindings: BoundKeys, key: str) -> bool:
    """Whether AMQP routes the key to a queue with these bindings."""
    return any(exchange_matches(kind, bound, key) for kind, bound in bindings)


def check(bound: Sequence[BoundKeys], keys: Sequence[str], received: Sequence[set[str]]) -> None:
    """Hold what was received against what AMQP routes."""
    for bindings, got in zip(bound, received, strict=True):
        due = {key for key in keys if taken(bindings, key)}
        policy = compile_policy(bindings)
        assert due <= got, f"{bindings} lost {due - got} to {policy and policy.json}"
        if policy is not None and policy.exact:
            assert got == due, f"{bindings} were to be exact, and {got - due} passed {policy.json}"


def test_the_engine_lets_pass_what_the_bindings_take(engine: Engine) -> None:
    """Nothing is withheld, and an exact policy lets nothing else pass."""
    received = deliver(engine, TABLE, KEYS)
    check(TABLE, KEYS, received)
    assert sum(map(len, received)) < len(TABLE) * len(KEYS), "no filter filtered anything"


@settings(
    max_examples=3,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
@given(
    bound=st.lists(bound_keys, min_size=20, max_size=20, unique=True),
    keys=st.lists(routing_keys, min_size=12, max_size=12, unique=True),
)
def test_the_engine_lets_pass_what_any_bindings_take(engine: Engine, bound: list[BoundKeys], keys: list[str]) -> None:
    """The same for bindings that nobody thought of."""
    check(bound, keys, deliver(engine, bound, keys))


@pytest.mark.parametrize("bound", [(("direct", "k"),), (("topic", "k.#"),), (("topic", "#"),)], ids=str)
def test_the_engine_lets_each_level_have_its_share(engine: Engine, bound: BoundKeys) -> None:
    """And nothing else, but for the lowest where there is no condition on the key to go with that on the priority."""
    run = uuid.uuid4().hex[:8]
    topic, levels, priorities = engine.topic(f"levels-{run}"), 3, (0, 1, 2, 3, 200)
    shares = [Share(level=level, levels=levels) for level in range(levels)]
    queues = [engine.queue(f"q-{run}-{share.level}", topics=topic, account_id=account_of(topic)) for share in shares]
    for share, queue in zip(shares, queues, strict=True):
        policy = compile_policy(bound, share)
        engine.subscribe(topic, queue, policy and policy.json)
    for priority in priorities:
        engine.publish(topic, "k", priority)
    for share, queue in zip(shares, queues, strict=True):
        sent = priorities if compile_policy(bound, share) is None else [one for one in priorities if share.takes(one)]
        due = {f"k!{priority}" if priority else "k" for priority in sent}
        assert engine.received(queue, due=due) == due


def test_a_queue_created_with_its_policy_receives_from_topics_of_the_prefix_alone(strict_engine: Engine) -> None:
    """Later topics need no change of the policy, and topics of others cannot deliver."""
    run = uuid.uuid4().hex[:8]
    ours, others = strict_engine.topic(f"ours{run}-a"), strict_engine.topic(f"others{run}-a")
    account = account_of(ours)
    queue = strict_engine.queue(
        f"q-{run}", topics=topics_arn(region=REGION, account_id=account, prefix=f"ours{run}-"), account_id=account
    )
    for topic, key in ((others, "theirs"), (ours, "mine")):
        strict_engine.subscribe(topic, queue, None)
        strict_engine.publish(topic, key)
    assert strict_engine.received(queue, due=["mine"]) == {"mine"}


def test_a_statement_merged_into_a_policy_lets_its_topic_deliver(strict_engine: Engine) -> None:
    """A queue made by someone else, whose policy does not know our topics."""
    run = uuid.uuid4().hex[:8]
    topic, first = strict_engine.topic(f"late-{run}"), strict_engine.topic(f"first-{run}")
    account = account_of(topic)
    queue = strict_engine.queue(f"foreign-{run}", topics=first, account_id=account)
    existing = strict_engine.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["Policy"])["Attributes"]["Policy"]
    statement = sns_statement(queue_arn=strict_engine.arn_of(queue), topics_arn=topic, account_id=account)
    strict_engine.subscribe(topic, queue, None)
    strict_engine.publish(topic, "too early")
    merged = merge_statement(existing, statement)
    strict_engine.sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": merged})
    strict_engine.publish(topic, "in time")
    assert strict_engine.received(queue, due=["in time"]) == {"in time"}
    assert merge_statement(merged, statement) is None
