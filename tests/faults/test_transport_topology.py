"""What declaring, binding and unbinding do to AWS and cost in calls, by this process and by others."""

from __future__ import annotations

import json
import os
from collections import Counter
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from kombu import Connection, Consumer, Exchange, Queue

import kombu_sns_sqs
from kombu_sns_sqs import errors
from kombu_sns_sqs.topology.filters import policy_covers
from tests.conformance import actors
from tests.conformance.remote import Processes
from tests.conformance.waiting import eventually
from tests.faults.conftest import drain_until
from tests.faults.weather import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.faults.account import Account
    from tests.faults.relay import Relay

    Connect = Callable[..., Connection]


@pytest.fixture(scope="module")
def processes() -> Iterator[Processes]:
    """Python processes waiting for work."""
    processes = Processes()
    yield processes
    processes.close()


@pytest.fixture
def spawn(processes: Processes, relay: Relay, prefix: str) -> Callable[..., Any]:
    """Start a function of the conformance suite's actors in another process."""
    url = f"sns-sqs://test:test@{relay.url.removeprefix('http://')}/{prefix}"
    options = {"region": "us-east-1", "wait_time_seconds": 1, "filter_delay": 0.1}
    return lambda function, *args: processes.call(url, options, function, *args)


def another_process() -> None:
    """Forget all this process knows, as a process that has just begun."""
    kombu_sns_sqs.shutdown()


def calls_of(relay: Relay, what: Callable[[], object]) -> Counter[str]:
    """Count the calls that something costs."""
    before = Counter(relay.calls)
    what()
    return Counter(relay.calls) - before


def connected(connect: Connect, **options: Any) -> Connection:
    """A connection that has made sure of endpoint and credentials, and needs no STS."""
    connection = connect(account_id="000000000000", filter_delay=3600, **options)
    connection.connect()
    return connection


def bound(connection: Connection, name: str, exchange: str, *keys: str, kind: str = "direct") -> Queue:
    """A queue, declared and bound."""
    source = Exchange(exchange, type=kind)
    queue = Queue(name)(connection)
    queue.declare()
    source(queue.channel).declare()
    for key in keys:
        queue.bind_to(source, routing_key=key)
    return queue


def payloads(queue: Queue, count: int) -> list[Any]:
    """The bodies of that many messages, sorted."""
    return sorted(eventually(lambda: queue.get(no_ack=True), timeout=5).payload for _ in range(count))


# -- what things cost -------------------------------------------------------------------------------------------


def test_a_second_process_declares_with_five_look_ups(connect: Connect, relay: Relay) -> None:
    """One for the URL, one for the exchange, three to know queue, tags and subscription: no write."""
    queue = Queue("q", Exchange("e"), "k")
    queue(connected(connect)).declare()
    another_process()
    connection = connected(connect)
    assert calls_of(relay, queue(connection).declare) == {
        "GetQueueUrl": 1,
        "GetQueueAttributes": 1,
        "ListTagsForResource": 1,
        "ListQueueTags": 1,
        "GetSubscriptionAttributes": 1,
    }


def test_publishing_to_an_exchange_is_one_call_from_the_first(connect: Connect, relay: Relay) -> None:
    """The ARN is composed, not looked up: a producer that declared nothing."""
    bound(connected(connect), "q", "e", "k")
    another_process()
    producer = connected(connect).Producer(auto_declare=False)
    for _ in range(2):
        assert calls_of(relay, lambda: producer.publish("x", exchange="e", routing_key="k")) == {"Publish": 1}


def test_consuming_costs_look_ups_once(connect: Connect, relay: Relay) -> None:
    """By a process that declared nothing: the URL and the tags; a second consumer in it costs nothing."""
    bound(connected(connect), "q", "e", "k")
    another_process()
    connection = connected(connect)

    def consume() -> None:
        with Consumer(connection.channel(), [Queue("q", no_declare=True)], auto_declare=False):
            pass

    first = calls_of(relay, consume)
    assert first.pop("GetQueueUrl") <= 2
    assert first == {"ListQueueTags": 1}
    assert calls_of(relay, consume) == {}


def test_a_publish_waits_for_nothing_that_it_does_not_need(connect: Connect, relay: Relay) -> None:
    """A producer in a process that may do nothing but publish: denied everything else, it publishes."""
    bound(connected(connect), "q", "e", "k")
    another_process()
    connection = connected(connect)
    for action in ("ListTagsForResource", "GetTopicAttributes", "ListQueueTags", "GetQueueAttributes"):
        relay.fault(action, Refused("AccessDenied", 403))
    assert calls_of(
        relay, lambda: connection.Producer(auto_declare=False).publish("x", exchange="e", routing_key="k")
    ) == {"Publish": 1}


# -- assume -----------------------------------------------------------------------------------------------------


def test_assume_needs_no_account_to_use_a_predefined_queue(
    connect: Connect, relay: Relay, account: Account, prefix: str
) -> None:
    """The URL says all there is to know; who may only send need not be allowed to ask who he is."""
    account.sqs.create_queue(QueueName=f"{prefix}q")
    url = account.url("q").replace(relay.upstream.geturl(), relay.url)
    connection = connect(topology="assume", predefined_queues={"q": {"url": url}}, sts_token_timeout=901)

    def use() -> None:
        connection.Producer().publish("x", routing_key="q")
        assert connection.SimpleQueue("q").get(timeout=10).payload == "x"

    assert set(calls_of(relay, use)) <= {"SendMessage", "ReceiveMessage"}


def test_assume_asks_for_nothing_but_a_url(connect: Connect, relay: Relay, account: Account, prefix: str) -> None:
    """Of a queue that is not predefined; beside that the five verbs and nothing else."""
    account.sqs.create_queue(QueueName=f"{prefix}q")
    connection = connected(connect, topology="assume")

    def use() -> None:
        Queue("q")(connection).declare()
        connection.Producer().publish("x", routing_key="q")
        assert connection.SimpleQueue("q").get(timeout=10).payload == "x"

    assert set(calls_of(relay, use)) <= {"SendMessage", "ReceiveMessage", "GetQueueUrl"}


def test_a_predefined_queue_survives_being_deleted(connect: Connect, account: Account, prefix: str) -> None:
    """It was not ours to make, and is not ours to end."""
    account.sqs.create_queue(QueueName=f"{prefix}theirs")
    connection = connected(connect, predefined_queues={"q": {"url": account.url("theirs")}})
    queue = Queue("q")(connection)
    queue.declare()
    connection.Producer().publish("x", routing_key="q")
    queue.delete()
    assert connection.SimpleQueue("q").get(timeout=10).payload == "x"
    assert account.url("theirs")


def test_a_predefined_exchange_is_neither_made_nor_deleted(
    connect: Connect, relay: Relay, account: Account, prefix: str
) -> None:
    """It is used by its ARN, whatever its name; the queue is made open to it, though it has not our prefix."""
    arn = account.sns.create_topic(Name=f"theirs-{prefix}")["TopicArn"]
    connection = connected(connect, predefined_exchanges={"e": {"arn": arn}})
    queue = bound(connection, "q", "e", "k")
    connection.Producer().publish("x", exchange="e", routing_key="k")
    assert payloads(queue, 1) == ["x"]
    Exchange("e")(connection).delete()
    assert account.sns.get_topic_attributes(TopicArn=arn)["Attributes"]["TopicArn"] == arn
    assert relay.calls["CreateTopic"] + relay.calls["DeleteTopic"] + relay.calls["SetQueueAttributes"] == 0


def test_a_queue_that_was_there_is_opened_to_an_exchange_that_is_predefined_later(
    connect: Connect, account: Account, prefix: str
) -> None:
    """It was made for our topics alone, and its policy is added to."""
    arn = account.sns.create_topic(Name=f"theirs-{prefix}")["TopicArn"]
    Queue("q")(connected(connect)).declare()
    another_process()
    connection = connected(connect, predefined_exchanges={"e": {"arn": arn}}, policy_settling=0)
    queue = bound(connection, "q", "e", "k")
    connection.Producer().publish("x", exchange="e", routing_key="k")
    assert payloads(queue, 1) == ["x"]


# -- drift ------------------------------------------------------------------------------------------------------


def test_a_queue_that_keeps_messages_longer_than_declared_is_said_and_used(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """A changed option must not break a start."""
    Queue("q")(connected(connect)).declare()
    another_process()
    connection = connected(connect)
    Queue("q", message_ttl=120)(connection).declare()
    assert "keeps messages for 345600 s, declared are 120 s" in caplog.text
    connection.Producer().publish("x", routing_key="q")
    assert Queue("q")(connection).get(no_ack=True).payload == "x"


def test_validate_refuses_a_queue_that_sns_may_not_reach(connect: Connect, account: Account, prefix: str) -> None:
    """It would be bound, and never receive."""
    account.sqs.create_queue(QueueName=f"{prefix}q")
    Exchange("e")(connected(connect)).declare()
    connection = connected(connect, topology="validate")
    with pytest.raises(errors.NotEquivalent, match="does not let SNS deliver"):
        bound(connection, "q", "e", "k")
    assert account.subscriptions("q") == []


def test_an_exchange_of_another_type_is_refused(connect: Connect) -> None:
    """Its bindings would mean something else (406), whoever made it."""
    Exchange("e", type="topic")(connected(connect)).declare()
    another_process()
    with pytest.raises(errors.NotEquivalent, match="is of type 'topic', not 'direct'"):
        Exchange("e", type="direct")(connected(connect)).declare()


def test_tags_of_the_options_are_on_all_that_is_made(connect: Connect, account: Account, prefix: str) -> None:
    """On queues and on topics, beside our own."""
    connection = connected(connect, queue_tags={"cost-centre": "7"})
    bound(connection, "q", "e", "k")
    assert account.tags("q")["cost-centre"] == "7"
    topic = f"arn:aws:sns:us-east-1:000000000000:{prefix}e"
    rows = account.sns.list_tags_for_resource(ResourceArn=topic)["Tags"]
    assert {"Key": "cost-centre", "Value": "7"} in rows


# -- bindings ---------------------------------------------------------------------------------------------------


def test_a_binding_taken_away_by_another_process_takes_nothing_more(
    connect: Connect, spawn: Callable[..., Any], account: Account
) -> None:
    """The other binding of the queue stays; a consumer that knew both drops what belongs to neither."""
    connection, received = connect(bindings_max_age=0), []
    queue = bound(connection, "q", "e", "stays", "goes")
    producer = connection.clone().Producer(auto_declare=False)
    with connection.Consumer([queue], on_message=lambda m: (received.append(m.payload), m.ack())):
        for key in ("goes", "stays"):
            producer.publish(key, exchange="e", routing_key=key)
        drain_until(connection, lambda: len(received) == 2)
        spawn(actors.unbind, "e", "q", "goes").result()
        assert account.binding_tags("q") == ["e:stays"]
    another_process()
    connection = connect()
    producer = connection.Producer(auto_declare=False)
    received.clear()
    with connection.Consumer([Queue("q", no_declare=True)], on_message=lambda m: (received.append(m.payload), m.ack())):
        for key in ("goes", "stays"):
            producer.publish(key, exchange="e", routing_key=key)
        drain_until(connection, lambda: "stays" in received)
        with pytest.raises(TimeoutError):
            connection.drain_events(timeout=0.5)
    assert received == ["stays"]


def test_the_last_unbinding_ends_the_subscription(connect: Connect, account: Account) -> None:
    """And leaves no tag."""
    queue = bound(connected(connect), "q", "e", "a", "b")
    for key in ("a", "b"):
        assert len(account.subscriptions("q")) == 1
        queue.unbind_from(Exchange("e"), routing_key=key)
    assert account.subscriptions("q") == []
    assert not [key for key in account.tags("q") if key.startswith(("kombu:b:", "kombu:s:"))]


def test_a_deleted_exchange_leaves_no_tag_behind(connect: Connect, account: Account) -> None:
    """Its bindings are gone with it; those to other exchanges stay."""
    connection = connected(connect)
    bound(connection, "q", "kept", "k")
    bound(connection, "q", "gone", "a", "b")
    another_process()
    Exchange("gone")(connected(connect)).delete()
    assert account.binding_tags("q") == ["kept:k"]
    assert len([key for key in account.tags("q") if key.startswith("kombu:s:")]) == 1


def test_an_exchange_made_again_has_no_bindings(connect: Connect, account: Account) -> None:
    """The queue is bound again by whoever wants it, and then receives."""
    connection = connected(connect)
    bound(connection, "q", "e", "k")
    Exchange("e")(connection).delete()
    queue = bound(connection, "q", "e", "other")
    for key in ("k", "other"):
        connection.Producer().publish(key, exchange="e", routing_key=key)
    assert payloads(queue, 1) == ["other"]
    assert queue.get(no_ack=True) is None


def test_two_processes_that_bind_at_once_lose_no_key(
    connect: Connect, spawn: Callable[..., Any], account: Account
) -> None:
    """Ten keys each on one queue, with filters written meanwhile: the policy that stays covers all twenty."""
    bound(connect(), "q", "e")
    mine, theirs = ([f"{who}{number}" for number in range(10)] for who in "ab")
    calls = [spawn(actors.bind, "e", "direct", "q", *keys) for keys in (mine, theirs)]
    for call in calls:
        call.result()
    assert account.binding_tags("q") == sorted(f"e:{key}" for key in (*mine, *theirs))
    another_process()
    connection = connect(filter_delay=0.1)
    queue = bound(connection, "q", "e", "last")
    keys = [*mine, *theirs, "last"]
    eventually(lambda: account.policy("q"))
    assert policy_covers(account.policy("q"), [("direct", key) for key in keys])
    for key in (*keys, "none"):
        connection.Producer().publish(key, exchange="e", routing_key=key)
    assert payloads(queue, len(keys)) == sorted(keys)
    assert queue.get(no_ack=True) is None


def test_a_queue_that_is_being_narrowed_misses_nothing(connect: Connect, account: Account) -> None:
    """Messages are published all the while a policy is being set and bindings are being added."""
    connection = connect(filter_delay=0.05)
    queue = bound(connection, "q", "e", "k0")
    producer = connection.Producer(auto_declare=False)
    sent = []
    for number in range(1, 6):
        queue.bind_to("e", f"k{number}")
        for _ in range(5):
            producer.publish(len(sent), exchange="e", routing_key=f"k{number}")
            sent.append(len(sent))
    eventually(lambda: account.policy("q"))
    assert payloads(queue, len(sent)) == sent


def test_a_subscription_whose_tag_is_lost_is_found_and_widened(connect: Connect, account: Account) -> None:
    """Somebody has cleaned up: the subscription with its filter is still there, and the new key receives at once."""
    connection = connect(filter_delay=0.05)
    bound(connection, "q", "e", "a")
    eventually(lambda: account.policy("q"))
    lost = [key for key in account.tags("q") if key.startswith("kombu:s:")]
    account.sqs.untag_queue(QueueUrl=account.url("q"), TagKeys=lost)
    another_process()
    connection = connected(connect)
    queue = bound(connection, "q", "e", "b")
    assert len(account.subscriptions("q")) == 1
    for key in ("a", "b"):
        connection.Producer().publish(key, exchange="e", routing_key=key)
    assert payloads(queue, 2) == ["a", "b"]


def test_filters_can_be_left_off(connect: Connect, account: Account) -> None:
    """The consumer matches alone: what belongs is delivered, the rest is dropped."""
    connection = connect(filter_policies=False, filter_delay=0)
    queue = bound(connection, "q", "e", "a.*", kind="topic")
    for key in ("b.x", "a.x"):
        connection.Producer().publish(key, exchange="e", routing_key=key)
    assert payloads(queue, 1) == ["a.x"]
    assert queue.get(no_ack=True) is None
    assert account.policy("q") is None


def test_what_sns_refuses_for_a_filter_leaves_the_subscription_wide(
    connect: Connect, relay: Relay, account: Account
) -> None:
    """The 201st policy of a topic: nothing is lost, the consumer drops what does not belong."""
    relay.fault("SetSubscriptionAttributes", Refused("FilterPolicyLimitExceeded", 403))
    connection = connect(filter_delay=0.05)
    queue = bound(connection, "q", "e", "a")
    assert relay.wait_for("SetSubscriptionAttributes", 1)
    for key in ("b", "a"):
        connection.Producer().publish(key, exchange="e", routing_key=key)
    assert payloads(queue, 1) == ["a"]
    assert account.policy("q") is None


def test_a_deleted_queue_leaves_no_subscription(connect: Connect, account: Account) -> None:
    """SNS would keep it, and deliver into nothing."""
    bound(connected(connect), "q", "e", "k")
    another_process()
    assert len(account.subscriptions("q")) == 1
    Queue("q")(connected(connect)).delete()
    assert account.subscriptions("q") == []


def test_a_queue_made_by_another_process_receives_at_once(connect: Connect, spawn: Callable[..., Any]) -> None:
    """Also where this process has tried in vain a moment ago: AMQP has no memory of queues that were not there."""
    connection = connect()
    producer = connection.Producer(auto_declare=False)
    producer.publish("too early", routing_key="q")
    spawn(actors.bind, "e", "direct", "q", "k").result()
    producer.publish("in time", routing_key="q")
    assert payloads(Queue("q")(connect(account_id="000000000000")), 1) == ["in time"]


def test_a_publish_to_a_queue_that_another_process_deleted_is_dropped(
    connect: Connect, spawn: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    """As by AMQP's default exchange, although its URL is remembered here; but the log tells of it."""
    connection = connect()
    bound(connection, "q", "e", "k")
    spawn(actors.delete_queue, "q").result()
    connection.Producer(auto_declare=False).publish("lost", routing_key="q")
    assert "a message was dropped: there is no queue 'q'" in caplog.text


def test_a_result_that_nobody_waits_for_is_dropped_without_a_warning(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """Its caller has ended, or never asked: that is every day's business. Other names are told once a minute."""
    producer = connect().Producer(auto_declare=False)
    producer.publish("result", routing_key=str(uuid4()))
    assert [record for record in caplog.records if record.levelname != "DEBUG"] == []
    for _ in range(3):
        producer.publish("lost", routing_key="nowhere")
    (record,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert (vars(record)["sns_sqs_event"], vars(record)["sns_sqs_queue"]) == ("message_dropped", "nowhere")


# -- who may not ------------------------------------------------------------------------------------------------


def test_keys_the_service_does_not_know_are_refused_when_connecting(relay: Relay) -> None:
    """By the service itself; the message has no secret in it."""
    host = relay.url.removeprefix("http://")
    connection = Connection(f"sns-sqs://AKIAWRONG:hushhush@{host}?region=us-east-1")
    with pytest.raises(errors.CredentialsRefused) as caught:
        connection.connect()
    assert "hushhush" not in str(caught.value)
    assert "hushhush" not in repr(connection) + connection.as_uri()


def test_no_keys_at_all_say_what_to_do(relay: Relay, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Where to put them."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    connection = Connection(f"sns-sqs://{relay.url.removeprefix('http://')}?region=us-east-1")
    with pytest.raises(errors.CredentialsRefused, match="AWS_ACCESS_KEY_ID"):
        connection.connect()


def test_no_region_says_what_to_do(relay: Relay, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Where to say it."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    connection = Connection(f"sns-sqs://a:b@{relay.url.removeprefix('http://')}")
    with pytest.raises(errors.Error, match="AWS_DEFAULT_REGION"):
        connection.connect()


def test_a_denied_subscribe_names_itself_and_leaves_the_queue_usable(connect: Connect, relay: Relay) -> None:
    """The binding fails with the permission's name (403); bound again with the permission, it receives."""
    connection = connected(connect)
    relay.fault("Subscribe", Refused("AuthorizationError", 403, "not authorized to perform: SNS:Subscribe"), times=1)
    with pytest.raises(errors.AccessDenied, match="SNS:Subscribe"):
        bound(connection, "q", "e", "k")
    queue = bound(connection, "q", "e", "k")
    connection.Producer().publish("x", exchange="e", routing_key="k")
    assert payloads(queue, 1) == ["x"]


def test_an_access_policy_that_cannot_be_read_stops_the_binding(
    connect: Connect, relay: Relay, account: Account, prefix: str
) -> None:
    """What is not understood is not overwritten."""
    account.sqs.create_queue(QueueName=f"{prefix}q", Attributes={"Policy": json.dumps({"Statement": "odd"})})
    with pytest.raises(errors.NotEquivalent, match="cannot be read"):
        bound(connected(connect, policy_settling=0), "q", "e", "k")
    assert relay.calls["SetQueueAttributes"] == 0


def test_arguments_without_effect_are_named_in_a_warning(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    """So that nobody relies on them; an argument that has one is not."""
    connection = connect()
    Queue("plain", queue_arguments={"x-message-ttl": 90_000})(connection).declare()
    assert caplog.text == ""
    Queue("q", queue_arguments={"x-max-length": 5, "x-overflow": "reject-publish"})(connection).declare()
    assert "queue 'q': these arguments have no effect on sns-sqs://: x-max-length, x-overflow" in caplog.text
