"""What things cost, in calls."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import amqp
import boto3
import pytest
from kombu import Connection, Exchange, Queue

import kombu_sns_sqs
from kombu_sns_sqs import errors
from tests.faults.conftest import drain_until
from tests.faults.weather import Refused, ServerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from kombu_sns_sqs.local import LocalService
    from tests.faults.relay import Relay

    Connect = Callable[..., Connection]


def another_process() -> None:
    """Forget all this process knows, as a process that has just begun."""
    kombu_sns_sqs.shutdown()


@pytest.fixture
def aws(service: LocalService) -> Callable[[str], Any]:
    """Clients of a stranger."""
    return lambda name: boto3.client(
        name,
        endpoint_url=service.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def calls_of(relay: Relay, what: Callable[[], object]) -> Counter[str]:
    """Count the calls that something costs."""
    before = Counter(relay.calls)
    what()
    return Counter(relay.calls) - before


def test_the_first_declaration_makes_and_the_next_process_looks(connect: Connect, relay: Relay) -> None:
    """The thousandth worker that starts costs what the second did; whoever made a queue may not be first to bind it."""
    queue = Queue("q", Exchange("e", type="direct"), "k")
    first = calls_of(relay, queue(connect()).declare)
    assert first == {
        "GetQueueUrl": 1,
        "GetCallerIdentity": 1,
        "ListTagsForResource": 1,
        "CreateTopic": 1,
        "CreateQueue": 1,
        "ListQueueTags": 1,
        "Subscribe": 1,
        "TagQueue": 1,
        "GetSubscriptionAttributes": 1,
    }
    another_process()
    second = calls_of(relay, queue(connect()).declare)
    another_process()
    third = calls_of(relay, queue(connect()).declare)
    assert second == third
    assert not {name for name in third if name.startswith(("Create", "Set", "Tag", "Subscribe", "ListQueues"))}
    assert sum(third.values()) <= 6


def test_a_connection_after_the_first_costs_nothing(connect: Connect, relay: Relay) -> None:
    """Credentials, addresses and the check of the endpoint are shared."""
    connect().connect()
    assert calls_of(relay, lambda: [connect().connect().create_channel(c.connection) for c in [connect()]]) == {}


def test_a_publish_is_one_call(connect: Connect, relay: Relay) -> None:
    """To a queue, and to a fanout of five."""
    connection = connect()
    producer = connection.Producer()
    fanout = Exchange("f", type="fanout")
    for number in range(5):
        Queue(f"q{number}", fanout)(connection).declare()
    assert calls_of(relay, lambda: producer.publish("x", routing_key="q0")) == {"SendMessage": 1}
    assert calls_of(relay, lambda: producer.publish("x", exchange="f")) == {"Publish": 1}


def test_the_second_call_of_remote_control_makes_no_queue(connect: Connect, relay: Relay) -> None:
    """Kombu declares one with every call, each time of another name."""
    channel = connect().channel()
    replies = Exchange("reply.celery.pidbox", type="direct", durable=False)

    def call() -> None:
        oid = str(uuid4())
        queue = Queue(f"{oid}.reply.celery.pidbox", replies, oid, exclusive=True, durable=False, channel=channel)
        queue.declare()
        queue.declare()
        channel.after_reply_message_received(queue.name)

    assert calls_of(relay, call)["CreateQueue"] == 1
    assert calls_of(relay, call) == {}


def test_a_temporary_queue_costs_two_calls_to_make_and_two_to_end(connect: Connect, relay: Relay) -> None:
    """Each worker has one for its remote control."""
    connection = connect()
    fanout = Exchange("celery.pidbox", type="fanout")
    fanout(connection).declare()
    queue = Queue("w1@h.celery.pidbox", fanout, exclusive=True)(connection)
    made = calls_of(relay, queue.declare)
    assert made == {"GetTopicAttributes": 1, "CreateQueue": 1, "Subscribe": 1}
    assert calls_of(relay, connection.release) == {"Unsubscribe": 1, "DeleteQueue": 1}


def test_assume_asks_nothing(connect: Connect, relay: Relay, aws: Callable[[str], Any], prefix: str) -> None:
    """No call but send, receive, delete, change visibility and publish; the queue is found by its URL."""
    url = aws("sqs").create_queue(QueueName=f"{prefix}q")["QueueUrl"].replace(relay.upstream.geturl(), relay.url)
    arn = aws("sns").create_topic(Name=f"{prefix}e")["TopicArn"]
    connection = connect(
        topology="assume",
        account_id="000000000000",
        predefined_queues={"q": {"url": url}},
        predefined_exchanges={"e": {"arn": arn}},
    )

    def use() -> None:
        queue = Queue("q", Exchange("e", type="topic"), "#")(connection)
        queue.declare()
        connection.Producer().publish("x", routing_key="q")
        connection.Producer().publish("y", exchange="e", routing_key="k")
        with connection.Consumer([queue], on_message=lambda message: message.ack()):
            connection.drain_events(timeout=10)
        connection.release()

    assert set(calls_of(relay, use)) <= {"SendMessage", "Publish", "ReceiveMessage", "DeleteMessageBatch"}


def test_validate_makes_nothing_and_says_what_is_missing(connect: Connect, relay: Relay) -> None:
    """A queue, an exchange, and a queue that keeps messages for longer than declared."""
    connection = connect(topology="validate")
    with pytest.raises(errors.NotFound, match="topology='validate'"):
        Exchange("e")(connection).declare()
    with pytest.raises(errors.NotFound, match="topology='validate'"):
        Queue("q")(connection).declare()
    Queue("q")(connect()).declare()
    with pytest.raises(errors.NotEquivalent, match="345600 s, declared are 60 s"):
        Queue("q", message_ttl=60)(connection).declare()
    assert relay.calls["CreateTopic"] == 0
    assert relay.calls["CreateQueue"] == 1


def test_tags_of_the_company_disturb_nothing(connect: Connect, aws: Callable[[str], Any], prefix: str) -> None:
    """On a topic and on a queue that are there already."""
    aws("sns").create_topic(Name=f"{prefix}e", Tags=[{"Key": "cost-centre", "Value": "7"}])
    aws("sqs").create_queue(QueueName=f"{prefix}q", tags={"cost-centre": "7"})
    connection = connect(policy_settling=0)
    queue = Queue("q", Exchange("e", type="topic"), "#")(connection)
    queue.declare()
    connection.Producer().publish("x", exchange="e", routing_key="any")
    assert wait_for(lambda: queue.get(no_ack=True)).payload == "x"


def test_sns_is_let_into_a_queue_that_was_there(
    connect: Connect, aws: Callable[[str], Any], prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever else its policy says stays, and the log tells of the wait."""
    statement = {"Sid": "mine", "Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": "*"}
    url = aws("sqs").create_queue(
        QueueName=f"{prefix}q", Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [statement]})}
    )["QueueUrl"]
    Queue("q", Exchange("e", type="fanout"))(connect(policy_settling=0)).declare()
    policy = json.loads(
        aws("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]["Policy"]
    )
    assert "mine" in [one.get("Sid") for one in policy["Statement"]]
    assert len(policy["Statement"]) == 2
    assert "its access policy now lets SNS in" in caplog.text


def test_a_subscription_is_narrowed_when_all_is_quiet_and_widened_at_once(
    connect: Connect, aws: Callable[[str], Any], relay: Relay, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    """No matching message is lost on the way, and widening is warned of."""
    connection = connect(filter_delay=0.2)
    exchange = Exchange("e", type="direct")
    Queue("q", exchange, "a")(connection).declare()
    policies = lambda: [  # noqa: E731
        sns.get_subscription_attributes(SubscriptionArn=row["SubscriptionArn"])["Attributes"].get("FilterPolicy")
        for sns in [aws("sns")]
        for row in sns.list_subscriptions()["Subscriptions"]
        if row["Endpoint"].endswith(f"{prefix}q")
    ]
    wait_for(lambda: "rk" in str(policies()))
    Queue("q", exchange, "b")(connection).declare()
    assert "is widened" in caplog.text
    for key in ("a", "b", "c"):
        connection.Producer().publish(key, exchange="e", routing_key=key)
    queue = Queue("q")(connection)
    got = [wait_for(lambda: queue.get(no_ack=True)).payload for _ in range(2)]
    assert sorted(got) == ["a", "b"]
    assert relay.calls["SetSubscriptionAttributes"] >= 2


def test_more_keys_than_tags_hold_mean_no_filter_and_no_loss(connect: Connect) -> None:
    """Beyond forty, everything is delivered."""
    connection = connect(filter_delay=0.1)
    exchange = Exchange("e", type="direct")
    queue = Queue("q", exchange, "k0")(connection)
    queue.declare()
    for number in range(1, 45):
        queue.bind_to(exchange, f"k{number}")
    for key in ("k0", "k44"):
        connection.Producer().publish(key, exchange="e", routing_key=key)
    assert sorted(wait_for(lambda: queue.get(no_ack=True)).payload for _ in range(2)) == ["k0", "k44"]


def test_bindings_can_be_listed_from_any_process(connect: Connect) -> None:
    """They live on AWS."""
    exchange = Exchange("e", type="topic")
    Queue("q", exchange, "a.#")(connect()).declare()
    another_process()
    assert connect().get_manager().get_bindings() == [{"destination": "q", "source": "e", "routing_key": "a.#"}]


@pytest.mark.parametrize(
    ("service_limit", "exchange", "size"), [("SQS takes 1048576", "", 1_100_000), ("SNS takes 262144", "e", 270_000)]
)
def test_a_body_over_the_limit_is_refused_before_it_is_sent(
    connect: Connect, relay: Relay, service_limit: str, exchange: str, size: int
) -> None:
    """With what to do about it."""
    connection = connect()
    Queue("q", Exchange("e"), "q")(connection).declare()
    with pytest.raises(errors.MessageTooLarge, match=service_limit):
        connection.Producer().publish("x" * size, exchange=exchange, routing_key="q")
    assert relay.calls["SendMessage"] + relay.calls["Publish"] == 0


def test_a_name_that_no_queue_can_bear_is_refused_when_it_is_declared(connect: Connect, relay: Relay) -> None:
    """With the reason; nothing is asked of AWS."""
    connection = connect()
    connection.connect()
    with pytest.raises(errors.AddressingError, match="256 bytes"):
        Queue("q" * 256)(connection).declare()
    with pytest.raises(errors.AddressingError, match="control character"):
        Exchange("e\0")(connection).declare()
    assert relay.calls["CreateQueue"] + relay.calls["CreateTopic"] == 0


def test_one_attribute_too_many_is_refused_when_it_is_published(connect: Connect, relay: Relay) -> None:
    """SNS would discard the message without a word."""
    connection = connect()
    Queue("q")(connection).declare()
    attributes = {f"a{number}": "x" for number in range(8)}
    with pytest.raises(errors.TooManyAttributes, match="put the others into headers"):
        connection.Producer().publish("x", routing_key="q", message_attributes=attributes)
    assert relay.calls["SendMessage"] == 0


def test_collecting_a_connection_makes_no_call(connect: Connect, relay: Relay) -> None:
    """Kombu does it in forked children and after connection errors; what is in hand can still be acked."""
    connection = connect()
    queue = connection.SimpleQueue("q")
    queue.put("x")
    message = queue.get(timeout=10)
    made = calls_of(relay, connection.collect)
    # A poll begun by the get may reach the relay only now.
    assert set(made) <= {"ReceiveMessage"}
    message.ack()
    assert relay.wait_for("DeleteMessageBatch", 1)


def test_a_missing_permission_is_named(connect: Connect, relay: Relay) -> None:
    """At declare time, as an error of the channel."""
    relay.fault("CreateQueue", Refused("AccessDenied", 403, "not authorized to perform: sqs:createqueue"))
    with pytest.raises(errors.AccessDenied, match="sqs:createqueue") as caught:
        Queue("q")(connect()).declare()
    assert caught.value.reply_code == 403
    assert "see docs/permissions.md" in str(caught.value)


def test_unknown_credentials_are_refused_when_connecting(connect: Connect, relay: Relay) -> None:
    """And are not tried again and again."""
    relay.fault("GetQueueUrl", Refused("InvalidClientTokenId", 403, "The security token is invalid"))
    connection = connect(account_id="000000000001")
    with pytest.raises(errors.CredentialsRefused, match="security token"):
        connection.ensure_connection(max_retries=3, interval_start=0)
    assert relay.calls["GetQueueUrl"] == 1


def test_an_endpoint_that_does_not_answer_is_said_when_connecting() -> None:
    """As an error of the connection, which kombu and Celery try again."""
    connection = Connection("sns-sqs://test:test@127.0.0.1:9?region=us-east-1&connect_timeout=1")
    with pytest.raises(errors.Unreachable, match="check host and port of the broker URL"):
        connection.connect()


@pytest.mark.parametrize("status", [200, 404, 503])
def test_an_endpoint_that_is_not_sqs_is_said_when_connecting(connect: Connect, relay: Relay, status: int) -> None:
    """Whatever status it answers with; of its page the words, not the markup."""
    relay.fault("GetQueueUrl", ServerError(status))
    connection = connect(client_config={"retries": {"total_max_attempts": 1}})
    with pytest.raises(errors.Unreachable, match="check host and port of the broker URL") as caught:
        connection.connect()
    assert "<" not in str(caught.value)


def test_an_error_of_sqs_itself_is_told_in_its_own_words(connect: Connect, relay: Relay) -> None:
    """The endpoint is the right one then."""
    relay.fault("GetQueueUrl", Refused("InternalFailure", 500, "a hiccup"))
    connection = connect(client_config={"retries": {"total_max_attempts": 1}})
    with pytest.raises(errors.Unreachable, match=r"a hiccup$"):
        connection.connect()


def test_an_exchange_of_an_unknown_type_is_refused(connect: Connect) -> None:
    """There is no headers exchange on SNS."""
    with pytest.raises(errors.ChannelFailed, match="'headers' is not supported"):
        Exchange("e", type="headers")(connect()).declare()


def test_an_exchange_cannot_be_bound_to_an_exchange_and_the_error_says_so(connect: Connect, relay: Relay) -> None:
    """Of the kind that AMQP has for it, and nothing is tried again."""
    source, exchange = Exchange("source"), Exchange("e")(connect())
    for verb in (exchange.bind_to, exchange.unbind_from):
        with pytest.raises(amqp.AMQPNotImplementedError, match="'e' cannot be bound to exchange 'source'") as caught:
            verb(source, routing_key="k")
        assert isinstance(caught.value, errors.NotSupported)
    assert relay.calls["CreateTopic"] == 0


def test_a_message_that_amqp_would_refuse_is_refused_when_it_is_published(connect: Connect, relay: Relay) -> None:
    """One by one, and in a batch."""
    connection = connect()
    Queue("q")(connection).declare()
    producer = connection.Producer()
    with pytest.raises(errors.InvalidProperty, match="invalid priority 'abc'"):
        producer.publish("x", routing_key="q", priority="abc")
    with producer.batch(), pytest.raises(errors.InvalidProperty, match="invalid expiration '-1000'"):
        producer.publish("x", routing_key="q", expiration=-1)
    assert relay.calls["SendMessage"] + relay.calls["SendMessageBatch"] == 0


@pytest.mark.parametrize("url", ["sns-sqs://127.0.0.1:{}?region=a", "sns-sqs://AKID:SECRET@127.0.0.1:{}"])
def test_a_list_of_urls_with_options_or_keys_is_refused_and_says_where_they_belong(url: str) -> None:
    """Kombu would lose the ones when it switches, and shows the others in `inspect stats`."""
    connection = Connection(f"{url.format(1)};{url.format(2)}")
    with pytest.raises(errors.OptionsError, match="broker_transport_options"):
        connection.connect()


def wait_for(look: Callable[[], Any], timeout: float = 15.0) -> Any:
    """The first true value."""
    deadline = time.monotonic() + timeout
    while not (value := look()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return value


def test_many_queues_of_one_consumer_are_fetched_in_tens(connect: Connect, relay: Relay) -> None:
    """Ten queues under one window: none is fed message by message, and none waits for the long poll of another."""
    connection = connect(wait_time_seconds=20)
    queues = [Queue(f"q{number}")(connection) for number in range(10)]
    for queue in queues:
        queue.declare()
        with connection.Producer() as producer, producer.batch():
            for number in range(30):
                producer.publish(number, routing_key=queue.name)
    got: Counter[str] = Counter()

    def take(_: Any, message: Any) -> None:
        got[message.delivery_info["routing_key"]] += 1
        message.ack()

    def consume() -> None:
        with connection.Consumer(queues, callbacks=[take], prefetch_count=100):
            drain_until(connection, lambda: got.total() == 300)

    assert calls_of(relay, consume)["ReceiveMessage"] <= 90
    assert set(got.values()) == {30}
