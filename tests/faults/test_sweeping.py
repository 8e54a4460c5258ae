"""Signs of life, who sweeps, and queues that are taken from a process that lives."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from kombu import Connection, Exchange, Queue

import kombu_sns_sqs
from kombu_sns_sqs.aws.control import ControlPlane
from kombu_sns_sqs.aws.sessions import Sessions
from kombu_sns_sqs.errors import NotFound
from kombu_sns_sqs.identity import Identity
from kombu_sns_sqs.options import Options
from kombu_sns_sqs.sweeping.lock import Lock
from kombu_sns_sqs.temporary_names import temporary_name_of
from tests.conformance.waiting import eventually
from tests.faults.conftest import PATIENCE, drain_until, run_hub
from tests.faults.weather import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.faults.account import Account
    from tests.faults.relay import Relay

    Connect = Callable[..., Connection]

DENIED = Refused("AccessDenied", 403)
LOCK = "kombu-tmp-sweeper.fifo"


@pytest.fixture(autouse=True)
def ended() -> Iterator[None]:
    """End the threads of a test with it."""
    yield
    kombu_sns_sqs.shutdown()


def consuming(connection: Connection, exchange: str) -> tuple[Queue, list[Any]]:
    """A private queue that is bound with two keys and consumed from, and what it has received."""
    received: list[Any] = []
    channel = connection.channel()
    source = Exchange(exchange, type="topic")(channel)
    queue = Queue("mine", source, "a.#", exclusive=True, durable=False)(channel)
    queue.declare()
    queue.bind_to(source, "b")
    connection.Consumer(
        [queue], channel=channel, on_message=lambda m: received.append(m.payload), no_ack=True
    ).consume()
    return queue, received


def temporary(account: Account) -> list[str]:
    """The names of the temporary queues under the prefix, without it."""
    urls = account.sqs.list_queues(QueueNamePrefix=f"{account.prefix}kombu-tmp-").get("QueueUrls", [])
    return sorted(name for url in urls if (name := url.rpartition("/")[2].removeprefix(account.prefix)) != LOCK)


def count(account: Account, queue: str) -> int:
    """How often the owner of a queue has given a sign of life there."""
    return int(account.tags(queue)["kombu:sign"].partition("/")[0])


# -- signs ---------------------------------------------------------------------------------------------------


def test_a_process_with_a_temporary_queue_gives_signs_of_life(connect: Connect, account: Account) -> None:
    """On one of its queues, however many it has; and on the next when that one is gone."""
    connection = connect(sweep_period=0.5)
    channel = connection.channel()
    first, second = (Queue(str(uuid4()), auto_delete=True, durable=False)(channel) for _ in range(2))
    for queue in (first, second):
        queue.declare()
        queue.get()
    queues = {temporary_name_of(queue.name): queue for queue in (first, second)}
    assert temporary(account) == sorted(queues)
    bearer = eventually(lambda: next((name for name in queues if count(account, name) >= 2), None), timeout=PATIENCE)
    (other,) = queues.keys() - {bearer}
    assert count(account, other) == 0
    queues[bearer].delete()
    eventually(lambda: count(account, other) >= 3, timeout=PATIENCE)


def test_without_a_period_there_are_no_signs(connect: Connect, account: Account, relay: Relay) -> None:
    """And no queue that would be judged by them."""
    consuming(connect(sweep_period=0), "news")
    (name,) = temporary(account)
    assert "kombu:owner" in account.tags(name)
    assert "kombu:sign" not in account.tags(name)
    assert "kombu-sns-sqs-sweeper" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("action", ["ListQueues", "ListQueueTags"])
def test_who_may_not_sweep_says_so_once_and_leaves_it_to_others(
    connect: Connect, account: Account, relay: Relay, caplog: pytest.LogCaptureFixture, action: str
) -> None:
    """It goes on giving signs of life, and does not keep the right to sweep."""
    connection = connect(sweep_period=0.5, account_id="000000000000")
    # Bound by nobody else's reading of tags: an exchange and a queue that are new.
    consuming(connection, "news")
    account.sqs.create_queue(QueueName=f"{account.prefix}kombu-tmp-s44we8-owner123-tok0")
    relay.fault(action, DENIED)
    eventually(lambda: "leave" in caplog.text and relay.calls[action] > 0, timeout=PATIENCE)
    name = next(name for name in temporary(account) if name.endswith("-mine"))
    before, calls = count(account, name), relay.calls[action]
    eventually(lambda: count(account, name) >= before + 3, timeout=PATIENCE)
    assert relay.calls[action] == calls
    assert caplog.text.count("may not delete the temporary queues that others leave") == 1
    if action == "ListQueueTags":
        url = account.url(LOCK)
        assert account.sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages")


def test_who_may_give_no_signs_says_so_once_and_works(
    connect: Connect, relay: Relay, caplog: pytest.LogCaptureFixture
) -> None:
    """The worker is not harmed."""
    connection = connect(sweep_period=0.5)
    _, received = consuming(connection, "news")
    relay.fault("TagQueue", DENIED)
    calls = relay.calls["TagQueue"]
    assert relay.wait_for("TagQueue", calls + 3, within=PATIENCE)
    assert caplog.text.count("no sign of life can be given") == 1
    connection.Producer().publish("hello", exchange="news", routing_key="b")
    drain_until(connection, lambda: received)


# -- taken from the living -----------------------------------------------------------------------------------


@pytest.mark.parametrize("turn", [drain_until, run_hub])
def test_a_queue_that_is_taken_from_a_living_process_is_made_again_with_its_bindings(
    connect: Connect, account: Account, turn: Callable[..., None]
) -> None:
    """Under another name, and the consumer goes on; so does the next time."""
    connection = connect()
    _, received = consuming(connection, "news")
    for number in range(2):
        (name,) = temporary(account)
        account.sqs.delete_queue(QueueUrl=account.url(name))
        turn(connection, lambda gone=name: len(temporary(account)) == 1 and temporary(account) != [gone])
        (fresh,) = temporary(account)
        turn(connection, lambda queue=fresh: len(account.subscriptions(queue)) == 1)
        for key in ("a.b", "b", "c"):
            connection.Producer().publish(f"{key} {number}", exchange="news", routing_key=key)
        turn(connection, lambda enough=2 * (number + 1): len(received) == enough)
    assert sorted(received) == ["a.b 0", "a.b 1", "b 0", "b 1"]
    connection.release()
    assert temporary(account) == []
    assert account.all_subscriptions() == set()


def test_an_idle_reply_queue_that_was_taken_is_there_again_after_the_next_sign(
    connect: Connect, account: Account
) -> None:
    """Under its own name, by which others find it, though nobody was receiving from it."""
    connection = connect(sweep_period=0.5)
    queue = Queue(str(uuid4()), auto_delete=True, durable=False)(connection.channel())
    queue.declare()
    queue.get()
    other = connect(sweep_period=0)
    name = temporary_name_of(queue.name)
    account.sqs.delete_queue(QueueUrl=account.url(name))
    eventually(lambda: temporary(account) == [name], timeout=PATIENCE)
    other.Producer().publish("hello", routing_key=queue.name)
    assert eventually(lambda: queue.get(no_ack=True), timeout=PATIENCE).payload == "hello"


def test_what_its_owner_deletes_is_not_made_again(
    connect: Connect, account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    """Though a poll, or a sign of life, may miss it; that is nothing to be told, as it was meant to go."""
    connection = connect(sweep_period=0.5)
    queue, _ = consuming(connection, "news")
    with pytest.raises(TimeoutError):
        connection.drain_events(timeout=0.5)
    queue.delete()
    with pytest.raises(TimeoutError):
        connection.drain_events(timeout=2)
    assert temporary(account) == []
    assert [record.getMessage() for record in caplog.records if record.levelno > logging.INFO] == []


# -- names ---------------------------------------------------------------------------------------------------


def test_a_lasting_queue_with_a_uuid_for_a_name_keeps_it(connect: Connect, account: Account) -> None:
    """As sqs:// has made it; whoever did not declare it finds it, too."""
    name = str(uuid4())
    Queue(name)(connect().channel()).declare()
    kombu_sns_sqs.shutdown()
    connection = connect()
    connection.Producer().publish("hello", routing_key=name)
    assert (
        int(
            account.sqs.get_queue_attributes(QueueUrl=account.url(name), AttributeNames=["All"])["Attributes"][
                "ApproximateNumberOfMessages"
            ]
        )
        == 1
    )
    assert temporary(account) == []


def test_beside_workers_of_sqs_a_reply_queue_has_the_name_that_they_know(connect: Connect, account: Account) -> None:
    """They send results to the queue that has the name itself."""
    name = str(uuid4())
    queue = Queue(name, auto_delete=True, durable=False)(connect(compat="sqs").channel())
    queue.declare()
    queue.get()
    assert account.url(name)


def test_a_queue_that_may_not_be_looked_for_under_its_other_name_is_found(
    connect: Connect, account: Account, relay: Relay
) -> None:
    """A policy may allow the queues of a list and no other: what is denied for a guess is no error."""
    name = str(uuid4())
    account.sqs.create_queue(QueueName=account.prefix + name)
    connection = connect(account_id="000000000000")
    connection.connect()
    relay.fault("GetQueueUrl", DENIED, times=1)
    connection.Producer().publish("hello", routing_key=name)
    with pytest.raises(NotFound):
        connection.channel().queue_declare(str(uuid4()), passive=True)


# -- who sweeps ----------------------------------------------------------------------------------------------


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = time.monotonic()

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


@pytest.fixture
def lock(service: Any, prefix: str) -> Callable[..., Lock]:
    """Make one of several locks on one queue."""
    identity = Identity(
        region="us-east-1",
        endpoint_url=service.endpoint_url,
        access_key_id=service.access_key,
        secret_access_key=service.secret_key,
    )

    control = ControlPlane(Sessions())

    def make(*, lease: int = 60, topology: Any = "create", clock: Callable[[], float] = time.monotonic) -> Lock:
        options = Options(identity=identity, queue_name_prefix=prefix, topology=topology, read_timeout=2)
        return Lock(control=control, options=options, lease=lease, clock=clock)

    return make


def test_one_of_many_sweeps(lock: Callable[..., Lock]) -> None:
    """And the next when the first leaves it."""
    locks = [lock() for _ in range(4)]
    assert [one.take() for one in locks] == [True, False, False, False]
    assert locks[0].keep()
    assert not locks[1].keep()
    locks[0].release()
    assert not locks[0].keep()
    assert [one.take() for one in locks] == [True, False, False, False]


def test_many_that_begin_together_are_one_sweeper(lock: Callable[..., Lock]) -> None:
    """The queue is not there, nor the message; each of them makes what is missing."""
    locks = [lock() for _ in range(8)]
    taken: list[bool] = []

    def take(one: Lock) -> None:
        taken.append(one.take())

    threads = [threading.Thread(target=take, args=(one,)) for one in locks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 8
    assert sum(taken) <= 1
    assert sum(one.take() for one in locks if not one.keep()) + sum(one.keep() for one in locks) >= 1
    assert sum(one.keep() for one in locks) == 1


def test_who_is_killed_sweeps_no_more(lock: Callable[..., Lock]) -> None:
    """Its lease ends, and another is the sweeper."""
    assert lock(lease=2).take()
    successor = lock()
    eventually(successor.take, timeout=PATIENCE)


def test_a_sweeper_that_stood_still_for_a_lease_knows_that_it_is_none(lock: Callable[..., Lock]) -> None:
    """By its own clock, before it does anything."""
    clock = Clock()
    one = lock(clock=clock)
    assert one.take()
    clock.now += 59
    assert one.keep()
    clock.now += 61
    assert not one.keep()


def test_a_sweeper_stays_one_for_longer_than_sqs_keeps_a_message_in_flight(lock: Callable[..., Lock]) -> None:
    """It receives it anew before the twelve hours are over."""
    clock = Clock()
    one = lock(lease=300, clock=clock)
    assert one.take()
    for _ in range(300):
        clock.now += 240
        assert one.keep()


def test_a_sweeper_whose_message_is_gone_knows_that_it_is_none(lock: Callable[..., Lock], account: Account) -> None:
    """SQS ends it after two weeks; or somebody purges the queue."""
    clock = Clock()
    one = lock(clock=clock)
    assert one.take()
    account.sqs.purge_queue(QueueUrl=account.url(LOCK))
    assert one.keep()
    clock.now += 45
    assert not one.keep()


def test_nothing_that_lasts_is_made_to_sweep_where_the_topology_says_so(lock: Callable[..., Lock]) -> None:
    """With ``validate`` the queue that says who sweeps is used if it is there."""
    assert not lock(topology="validate").take()
    one = lock()
    assert one.take()
    one.release()
    assert lock(topology="validate").take()
