"""The levels of a priority queue behind an exchange: what is asked of SNS, and what is done with what it sends."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from kombu import Connection, Exchange, Queue

import kombu_sns_sqs
from kombu_sns_sqs.addressing import queue_name
from tests.conformance.waiting import eventually
from tests.faults.conftest import drain_until
from tests.faults.test_calls import calls_of
from tests.faults.weather import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from kombu_sns_sqs.local import LocalService
    from tests.faults.account import Account
    from tests.faults.relay import Answer, Relay, Request

    Connect = Callable[..., Connection]

LEVELS = range(4)
#: The condition on the priority that each level's subscription has.
SHARES: list[Any] = [
    [{"exists": False}, {"numeric": ["=", 0]}],
    [{"numeric": ["=", 1]}],
    [{"numeric": ["=", 2]}],
    [{"numeric": [">=", 3]}],
]
PRIORITIES = (0, 2, 1, 3, 9, 2)


class NoMoreFilters:
    """A topic that takes subscriptions, but no filter policy."""

    def apply(self, request: Request, relay: Relay) -> Answer | None:
        """Refuse those with one."""
        if b"FilterPolicy" in request.body:
            return Refused("FilterPolicyLimitExceeded", 403).apply(request, relay)
        return relay.forward(request)


def urgent(connection: Connection, *, kind: str = "direct", name: str = "urgent", **arguments: Any) -> Any:
    """Declare a queue with levels, bound to an exchange."""
    queue = Queue(name, Exchange("e", type=kind), "k", max_priority=len(LEVELS) - 1, **arguments)(connection)
    queue.declare()
    return queue


def names(prefix: str) -> list[str]:
    """The SQS queues of the levels, without the prefix."""
    return [queue_name("urgent", prefix=prefix, level=level).removeprefix(prefix) for level in LEVELS]


def policies(account: Account) -> list[Any]:
    """The filter policy of each level's only subscription."""
    written = [account.policy(name) for name in names(account.prefix)]
    return [None if policy is None else json.loads(policy) for policy in written]


def subscriptions(account: Account) -> list[int]:
    """How many subscriptions each level has."""
    return [len(account.subscriptions(name)) for name in names(account.prefix)]


def ready(account: Account) -> list[int]:
    """How many messages are ready in each level."""
    urls = [account.url(name) for name in names(account.prefix)]
    wanted = "ApproximateNumberOfMessages"
    answers = [account.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[wanted]) for url in urls]
    return [int(answer["Attributes"][wanted]) for answer in answers]


def publish(connection: Connection) -> None:
    """Publish a message of each of the priorities."""
    producer = connection.Producer(auto_declare=False)
    for priority in PRIORITIES:
        producer.publish(priority, exchange="e", routing_key="k", priority=priority)


def got(queue: Any) -> list[Any]:
    """All that can be got from a queue, in order."""
    bodies = []
    while (message := queue.get(no_ack=True)) is not None:
        bodies.append(message.payload)
    return bodies


def test_every_level_is_subscribed_with_its_share(connect: Connect, account: Account) -> None:
    """The upper ones from the first, the lowest when it is narrowed: beside a condition on the routing key."""
    connection = connect(filter_delay=3600)
    urgent(connection)
    assert policies(account) == [None, *({"kombu-priority": share} for share in SHARES[1:])]
    kombu_sns_sqs.shutdown()
    urgent(connect(filter_delay=0.05))
    eventually(lambda: all(policies(account)) and "rk" in policies(account)[-1])
    assert policies(account) == [{"kombu-priority": share, "rk": [".k."]} for share in SHARES]
    publish(connect())
    assert ready(account) == [1, 1, 2, 2]


def test_a_message_of_a_stranger_comes_to_the_lowest_level(connect: Connect, account: Account) -> None:
    """Without any attribute, as S3 publishes: no filter on the lowest level of a fanout would let it pass."""
    queue = urgent(connect(filter_delay=0.05), kind="fanout")
    publish(connect())
    topic = account.subscriptions("urgent")[0].rpartition(":")[0]
    account.sns.publish(TopicArn=topic, Message="stranger")
    assert ready(account)[1:] == [1, 2, 2]
    bodies = got(queue)
    assert sorted(bodies[:2]) == [3, 9]
    assert bodies[2:5] == [2, 2, 1]
    assert sorted(bodies[5:], key=str) == [0, "stranger"]


@pytest.mark.parametrize("kind", ["direct", "fanout"])
def test_without_filters_each_message_is_taken_from_its_own_level_alone(
    connect: Connect, account: Account, kind: str
) -> None:
    """All levels receive all there is: in order and once, and what is dropped is no copy of what is not."""
    queue = urgent(connect(filter_policies=False), kind=kind)
    publish(connect())
    assert ready(account) == [len(PRIORITIES)] * len(LEVELS)
    bodies = got(queue)
    assert sorted(bodies[:2]) == [3, 9]
    assert bodies[2:] == [2, 2, 1, 0]
    assert ready(account) == [0] * len(LEVELS)


def test_a_consumer_drops_what_is_of_another_level(connect: Connect, relay: Relay, account: Account) -> None:
    """In batches, and with one look at the bindings, also by a process that has declared nothing."""
    urgent(connect(filter_policies=False))
    publish(connect())
    kombu_sns_sqs.shutdown()
    connection, received = connect(filter_policies=False), []

    def consume() -> None:
        queue = Queue("urgent", no_declare=True)
        with connection.Consumer(
            [queue], on_message=lambda m: (received.append(m.payload), m.ack()), auto_declare=False
        ):
            drain_until(connection, lambda: len(received) == len(PRIORITIES) and not any(ready(account)))
            for _ in range(5):
                connection.Producer().publish(1, exchange="e", routing_key="k", priority=1)
            drain_until(connection, lambda: len(received) == len(PRIORITIES) + 5 and not any(ready(account)))
            connection.default_channel.connection.services.settle(10)

    calls = calls_of(relay, consume)
    assert sorted(received) == sorted((*PRIORITIES, *[1] * 5))
    assert calls["ListQueueTags"] <= 3
    assert calls["DeleteMessage"] == 0
    assert calls["DeleteMessageBatch"] < len(received) * len(LEVELS)


def test_what_came_directly_is_never_taken_for_anothers(connect: Connect, account: Account) -> None:
    """Also beside messages that came through the exchange, and on whatever level it is."""
    connection = connect(filter_policies=False)
    queue = urgent(connection)
    publish(connection)
    for priority in PRIORITIES:
        connection.Producer().publish(f"direct {priority}", routing_key="urgent", priority=priority)
    for name in names(account.prefix):
        account.sqs.send_message(QueueUrl=account.url(name), MessageBody="by hand")
    expected = [*PRIORITIES, *(f"direct {priority}" for priority in PRIORITIES), *["by hand"] * len(LEVELS)]
    assert sorted(map(str, got(queue))) == sorted(map(str, expected))


def test_the_last_unbinding_ends_the_subscriptions_of_all_levels(connect: Connect, account: Account) -> None:
    """By a process that has not made them; while one binding is left they stay. No tag is left in the end."""
    queue = urgent(connect(filter_delay=3600))
    queue.bind_to("e", "other")
    kombu_sns_sqs.shutdown()
    queue = Queue("urgent")(connect())
    queue.unbind_from(Exchange("e"), routing_key="other")
    assert subscriptions(account) == [1] * len(LEVELS)
    assert policies(account) == [{"kombu-priority": share, "rk": [".k."]} for share in SHARES]
    queue.unbind_from(Exchange("e"), routing_key="k")
    assert subscriptions(account) == [0] * len(LEVELS)
    assert not [key for key in account.tags("urgent") if key.startswith(("kombu:b:", "kombu:s:", "kombu:p:"))]


@pytest.mark.parametrize("exclusive", [False, True])
def test_a_deleted_queue_leaves_no_subscription_of_any_level(
    connect: Connect, account: Account, *, exclusive: bool
) -> None:
    """SNS would keep it: deleted by another process, or at the end of the connection it belongs to."""
    before = account.all_subscriptions()
    connection = connect()
    urgent(connection, exclusive=exclusive)
    assert len(account.all_subscriptions() - before) == len(LEVELS)
    if exclusive:
        # No other process comes upon a level of it: their names are random.
        listed = account.sqs.list_queues(QueueNamePrefix=account.prefix)["QueueUrls"]
        assert len(listed) == len(LEVELS)
        assert not {url.rpartition("/")[2] for url in listed} & {
            account.prefix + name for name in names(account.prefix)
        }
        connection.release()
    else:
        kombu_sns_sqs.shutdown()
        Queue("urgent")(connect()).delete()
    assert account.all_subscriptions() <= before


def test_a_new_key_widens_the_filters_of_all_levels(connect: Connect, account: Account) -> None:
    """What it takes is received on whichever level."""
    urgent(connect(filter_delay=0.05))
    eventually(lambda: all(policies(account)) and all("rk" in policy for policy in policies(account)))
    kombu_sns_sqs.shutdown()
    queue = urgent(connect(filter_delay=3600))
    queue.bind_to("e", "other")
    assert policies(account) == [{"kombu-priority": share, "rk": [".k.", ".other."]} for share in SHARES]


def test_what_sns_refuses_for_a_filter_leaves_the_levels_wide(
    connect: Connect, relay: Relay, account: Account, service: LocalService
) -> None:
    """The 201st policy of a topic: each level is subscribed without one, and nothing is lost or doubled."""
    relay.fault("Subscribe", NoMoreFilters())
    queue = urgent(connect(filter_delay=3600))
    assert policies(account) == [None] * len(LEVELS)
    publish(connect(straight=service.endpoint_url))
    assert sorted(got(queue)) == sorted(PRIORITIES)


def test_a_subscription_of_a_level_that_is_gone_is_made_again(connect: Connect, account: Account) -> None:
    """Somebody has cleaned up; whoever binds again sees to it."""
    urgent(connect())
    _, second, *_ = names(account.prefix)
    account.sns.unsubscribe(SubscriptionArn=account.subscriptions(second)[0])
    kombu_sns_sqs.shutdown()
    queue = urgent(connect())
    assert subscriptions(account) == [1] * len(LEVELS)
    kombu_sns_sqs.shutdown()
    publish(connect())
    assert sorted(got(queue)) == sorted(PRIORITIES)


def test_a_queue_whose_lowest_level_is_bound_alone_stays_so(connect: Connect, account: Account) -> None:
    """What it has received already was sent to no other level, and would be lost as a copy."""
    urgent(connect())
    for name in names(account.prefix)[1:]:
        account.sns.unsubscribe(SubscriptionArn=account.subscriptions(name)[0])
    lost = [key for key in account.tags("urgent") if key.startswith("kombu:p:")]
    account.sqs.untag_queue(QueueUrl=account.url("urgent"), TagKeys=lost)
    kombu_sns_sqs.shutdown()
    publish(connect())
    queue = urgent(connect())
    assert subscriptions(account) == [1, *[0] * len(LEVELS[1:])]
    assert sorted(got(queue)) == sorted(PRIORITIES)
