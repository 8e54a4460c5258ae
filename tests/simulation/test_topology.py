"""Queues, exchanges and bindings of several processes at once, and what the service forbids, in virtual time."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from kombu_sns_sqs.errors import ChannelFailed, NotFound, Throttled
from kombu_sns_sqs.identity import Identity
from kombu_sns_sqs.options import PredefinedExchange
from kombu_sns_sqs.redelivery import DeadLetterPolicy
from kombu_sns_sqs.topology.access import Access
from kombu_sns_sqs.topology.entities import Queue, QueueDeclaration
from kombu_sns_sqs.topology.making import QueueMaker
from tests.simulation.fleet import OPTIONS, Worker, World

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.account import Account

    Failing = Callable[..., None]

MINUTE = 60.0


@pytest.fixture
def world() -> World:
    """An account, and virtual time."""
    return World(seed=1)


@pytest.fixture
def failing(world: World) -> Failing:
    """Have calls of an action refused with a code, or something happen right after one."""

    def failing(action: str, what: Any, *, of: Worker | None = None, times: int = 1) -> None:
        world.account.interfere(action, what, of=None if of is None else of.name, times=times)

    return failing


def lasting(name: str = "q", arguments: dict[str, Any] | None = None) -> QueueDeclaration:
    """A queue that stays."""
    return QueueDeclaration.read(name, durable=True, exclusive=False, auto_delete=False, arguments=arguments)


def private(name: str = "mine") -> QueueDeclaration:
    """A queue that is one connection's alone."""
    return QueueDeclaration.read(name, durable=False, exclusive=True, auto_delete=True, arguments=None)


def broadcast() -> QueueDeclaration:
    """A queue as ``kombu.common.Broadcast`` declares it."""
    name = f"bcast.{uuid4()}"
    return QueueDeclaration.read(name, durable=False, exclusive=False, auto_delete=True, arguments=None)


def declared(worker: Worker, declaration: QueueDeclaration, *keys: str, by: object = None, exchange: str = "x") -> None:
    """Declare a queue, and bind it to a direct exchange."""
    worker.provisioner.declare_exchange(exchange, "direct")
    worker.provisioner.declare_queue(declaration, by)
    for key in keys:
        worker.provisioner.bind(declaration.name, exchange, key)


def taken(account: Account, worker: Worker, name: str) -> Queue:
    """A queue of a worker's that somebody else deletes."""
    queue = worker.provisioner.queue_to_consume(name)
    account.delete_queue(queue.url)
    return queue


class Connection:
    """What stands for a connection."""


# -- whose a private queue is ----------------------------------------------------------------------------------


def test_a_queue_that_one_connection_consumes_from_outlives_another_that_declared_it_too(world: World) -> None:
    """As it does in RabbitMQ; and goes with the last that uses it."""
    worker, consuming, publishing = Worker(world, 0), Connection(), Connection()
    queue = broadcast()
    declared(worker, queue, "k", by=consuming)
    worker.provisioner.queue_to_consume(queue.name, consuming)
    declared(worker, queue, "k", by=publishing)
    worker.janitor.connection_closed(publishing)
    assert len(world.account.queues) == len(world.account.subscriptions) == 1
    worker.janitor.connection_closed(consuming)
    assert not world.account.queues
    assert not world.account.subscriptions


def test_who_consumes_keeps_what_another_connection_has_made(world: World) -> None:
    """Whichever of the two closes first."""
    worker, declaring, consuming = Worker(world, 0), Connection(), Connection()
    queue = broadcast()
    declared(worker, queue, "k", by=declaring)
    worker.provisioner.queue_to_consume(queue.name, consuming)
    worker.janitor.connection_closed(declaring)
    assert len(world.account.queues) == 1


def test_a_queue_declared_anew_while_it_is_being_deleted_is_another(world: World) -> None:
    """And is not forgotten with the one that goes."""
    worker, old, new = Worker(world, 0), Connection(), Connection()
    declared(worker, private(), "k", by=old)
    (ending,) = worker.provisioner.temporary.to_end(worker.provisioner.let_go(old))
    declared(worker, private(), "k", by=new)
    worker.provisioner.remove(ending)
    assert worker.provisioner.queue_to_consume("mine").url != ending.url
    assert "mine" in worker.provisioner.temporary
    assert len(world.account.queues) == 1


def test_what_a_lost_connection_used_ends_when_no_other_has_gone_on_with_it(world: World) -> None:
    """A worker declares and consumes again as soon as it is connected; who watches events has a new queue each time."""
    worker, lost, found = Worker(world, 0), Connection(), Connection()
    declared(worker, private("kept"), "k", by=lost)
    declared(worker, private("left"), "k", by=lost)
    worker.janitor.connection_lost(lost)
    world.run(5 * MINUTE)
    declared(worker, private("kept"), "k", by=found)
    assert [queue.name for queue in worker.provisioner.temporary.queues] == ["kept", "left"]
    world.run(15 * MINUTE)
    assert [queue.name for queue in worker.provisioner.temporary.queues] == ["kept"]
    assert len(world.account.subscriptions) == 1
    worker.janitor.connection_closed(found)
    assert not worker.provisioner.temporary.queues


# -- what is put off until a binding follows -------------------------------------------------------------------


def test_a_publish_of_another_thread_leaves_a_queue_to_be_bound(world: World) -> None:
    """Made by it, the queue would have a name that the next process comes upon."""
    worker = Worker(world, 0)
    worker.provisioner.declare_exchange("x", "direct")
    worker.provisioner.declare_queue(private())
    publishing = threading.Thread(target=worker.provisioner.settle_postponed)
    publishing.start()
    worker.provisioner.bind("mine", "x", "k")
    publishing.join()
    (name,) = world.account.queues
    assert name.startswith("app-kombu-tmp-")


def test_a_publish_of_another_thread_makes_what_nobody_binds(world: World) -> None:
    """A reply may be on its way to it as soon as the request is."""
    worker = Worker(world, 0)
    worker.provisioner.declare_queue(private())
    publishing = threading.Thread(target=worker.provisioner.settle_postponed)
    publishing.start()
    publishing.join()
    assert list(world.account.queues) == ["app-mine"]


def test_a_queue_that_is_being_made_is_waited_for(world: World, failing: Failing) -> None:
    """By who binds it in another thread: it is there when the first has made it, and it is one."""
    worker = Worker(world, 0)
    worker.provisioner.declare_exchange("x", "direct")
    worker.provisioner.declare_queue(private())
    binding = threading.Thread(target=worker.provisioner.bind, args=("mine", "x", "other"))
    failing("create_queue", binding.start)
    worker.provisioner.bind("mine", "x", "k")
    binding.join()
    assert len(world.account.queues) == len(world.account.subscriptions) == 1


def test_a_queue_that_could_not_be_made_in_passing_is_made_by_the_next_verb(world: World, failing: Failing) -> None:
    """The declaration was accepted."""
    worker = Worker(world, 0)
    worker.provisioner.declare_queue(private())
    failing("create_queue", "Throttling")
    with pytest.raises(Throttled):
        worker.provisioner.settle_postponed()
    worker.provisioner.settle_postponed()
    assert list(world.account.queues) == ["app-mine"]


# -- what is remembered ----------------------------------------------------------------------------------------


def test_a_queue_is_known_whole_after_ten_thousand_callers_were_answered(world: World) -> None:
    """And after it was looked for in vain: its levels, its TTL and its dead letters are what a consumer goes by."""
    arguments = {"x-max-priority": 5, "x-message-ttl": 60_000, "x-dead-letter-exchange": "dlx"}
    worker = Worker(world, 0)
    declared(worker, lasting(arguments={**arguments, "x-visibility-timeout": 9}))
    whole = worker.provisioner.queue_to_consume("q")
    for _ in range(10_001):
        name = str(uuid4())
        worker.directory.remember_queue(Queue(name=name, urls=(f"u/{name}",), arn="", identity=OPTIONS.identity))
    assert worker.provisioner.queue_to_consume("q") == whole
    assert (len(whole.urls), whole.ttl_ms, whole.dead_letters) == (6, 60_000, DeadLetterPolicy(exchange="dlx"))
    worker.directory.forget_queue("q")
    assert worker.provisioner.queue_to_consume("q") == replace(whole, lease_seconds=None)


# -- what two processes do to one queue ------------------------------------------------------------------------


def test_a_binding_made_while_another_process_takes_the_last_away_is_subscribed(world: World, failing: Failing) -> None:
    """Whichever step of the one falls between which of the other's."""
    for action in ("list_queue_tags", "unsubscribe", "untag_queue"):
        one, other = Worker(world, 0), Worker(world, 1)
        declared(one, lasting(action), "a")
        declared(other, lasting(action))
        failing(action, lambda other=other, action=action: other.provisioner.bind(action, "x", "b"), of=one)
        one.provisioner.unbind(action, "x", "a")
        bound = [key for key in world.account.queues[f"app-{action}"].tags if key.startswith("kombu:b:")]
        subscribed = [arn for arn, pair in world.account.subscriptions.items() if pair[1].endswith(f":app-{action}")]
        assert (len(bound), len(subscribed)) == (1, 1), action
        assert subscribed[0] in world.account.queues[f"app-{action}"].tags.values()


def test_a_binding_made_while_another_process_takes_the_subscription_away_is_subscribed(
    world: World, failing: Failing
) -> None:
    """Seen from the other side: the tags have been read, and what they tell is gone."""
    for action in ("list_queue_tags", "tag_queue"):
        one, other = Worker(world, 0), Worker(world, 1)
        declared(one, lasting(action), "a")
        declared(other, lasting(action))
        failing(action, lambda one=one, action=action: one.provisioner.unbind(action, "x", "a"), of=other)
        other.provisioner.bind(action, "x", "b")
        assert [arn for arn, pair in world.account.subscriptions.items() if pair[1].endswith(f":app-{action}")], action


def test_who_made_a_queue_and_binds_it_later_widens_what_another_has_narrowed(world: World) -> None:
    """However long ago it made it."""
    options = replace(OPTIONS, filter_delay=0.0)
    one, other = Worker(world, 0, options), Worker(world, 1, options)
    declared(one, lasting())
    declared(other, lasting(), "a")
    world.run(MINUTE)
    (arn,) = world.account.subscriptions
    assert "b" not in world.account.filters[arn]
    one.provisioner.bind("q", "x", "b")
    assert json.loads(world.account.filters[arn])["rk"] == [".a.", ".b."]


# -- predefined exchanges --------------------------------------------------------------------------------------

THEIRS = "arn:aws:sns:us-east-1:999999999999:company-news"
STRANGER = Identity(region="us-east-1", access_key_id="theirs", secret_access_key="secret")


def test_a_queue_is_made_open_to_a_predefined_exchange_wherever_it_is(world: World) -> None:
    """SNS discards what the access policy of a queue forbids."""
    options = replace(OPTIONS, predefined_exchanges=(PredefinedExchange(name="news", arn=THEIRS, identity=STRANGER),))
    world.account.topics[THEIRS] = {}
    worker = Worker(world, 0, options)
    for queue in (lasting(), private()):
        worker.provisioner.declare_queue(queue)
        worker.provisioner.bind(queue.name, "news", "k")
    for queue in world.account.queues.values():
        statements = json.loads(queue.attributes["Policy"])["Statement"]
        allowed = [statement["Condition"] for statement in statements]
        assert allowed[1] == {
            "ArnLike": {"aws:SourceArn": THEIRS},
            "StringEquals": {"aws:SourceAccount": "999999999999"},
        }
    assert world.account.count(worker.name)["set_queue_attributes"] == 0


def test_what_is_signed_for_a_predefined_exchange_is_signed_as_its_options_say(world: World) -> None:
    """Also where a queue is deleted: with other keys its subscription could not be taken away."""
    options = replace(OPTIONS, predefined_exchanges=(PredefinedExchange(name="news", arn=THEIRS, identity=STRANGER),))
    world.account.topics[THEIRS] = {}
    worker = Worker(world, 0, options)
    world.account.owners[THEIRS] = STRANGER
    declared(worker, lasting(), "k")
    worker.provisioner.bind("q", "news", "k")
    worker.provisioner.delete_queue("q")
    assert not world.account.queues
    assert not world.account.subscriptions


def test_throttling_is_not_answered_by_a_subscription_without_a_filter(world: World, failing: Failing) -> None:
    """Nor by listing all that is subscribed to the exchange."""
    worker = Worker(world, 0)
    declared(worker, lasting(arguments={"x-max-priority": 1}))
    failing("subscribe", "Throttling")
    with pytest.raises(Throttled):
        worker.provisioner.bind("q", "x", "k")
    calls = world.account.count(worker.name)
    assert (calls["subscribe"], calls["list_subscriptions_by_topic"]) == (1, 0)


# -- temporary queues that are taken from a process that lives -------------------------------------------------


@pytest.mark.parametrize("code", ["Throttling", "AccessDenied"])
def test_a_restored_queue_is_bound_though_a_first_attempt_fails(world: World, failing: Failing, code: str) -> None:
    """A queue that is there and not bound would be deaf for good."""
    worker, moved = Worker(world, 0), list[Queue]()
    declared(worker, private(), "a", "b")
    declared(worker, private(), "c", exchange="y")
    queue = taken(world.account, worker, "mine")
    failing("subscribe", code)
    worker.topology.restorer.missed(queue, moved.append)
    world.run(MINUTE)
    assert [one.url.rpartition("/")[2] for one in moved] == list(world.account.queues)
    endpoints = {topic.rpartition(":")[2] for topic, _ in world.account.subscriptions.values()}
    assert endpoints == {"app-x", "app-y"}
    assert len(world.account.subscriptions) == 2


def test_what_is_known_of_a_queues_bindings_outlives_the_queue(world: World) -> None:
    """It was asked for its tags, its messages were counted and others sent to it while it was not there."""
    worker, moved = Worker(world, 0), list[Queue]()
    declared(worker, private(), "a")
    queue = taken(world.account, worker, "mine")
    assert worker.binder.refresh(queue).all == [("x", "a")]
    with pytest.raises(NotFound, match="no queue 'mine'"):
        worker.provisioner.count("mine")
    worker.directory.forget_queue("mine")
    assert worker.provisioner.queue_to_consume("mine").url == queue.url
    worker.topology.restorer.missed(queue, moved.append)
    world.run(MINUTE)
    (name,) = world.account.queues
    assert name.startswith("app-kombu-tmp-")
    assert name != queue.url.rpartition("/")[2]
    assert [one.url.rpartition("/")[2] for one in moved] == [name]
    assert len(world.account.subscriptions) == 1


def test_a_restored_queue_is_bound_to_the_exchanges_that_are_left(world: World) -> None:
    """Those that somebody has deleted have taken their bindings along."""
    worker, other = Worker(world, 0), Worker(world, 1)
    declared(worker, private(), "a", exchange="gone")
    declared(worker, private(), "a", exchange="kept")
    queue = taken(world.account, worker, "mine")
    other.provisioner.delete_exchange("gone")
    worker.topology.restorer.missed(queue)
    world.run(MINUTE)
    assert {topic.rpartition(":")[2] for topic, _ in world.account.subscriptions.values()} == {"app-kept"}


def test_a_queue_that_was_unbound_is_restored_without_that_binding(world: World) -> None:
    """And still under a name that nobody comes upon."""
    worker = Worker(world, 0)
    declared(worker, private(), "a")
    worker.provisioner.unbind("mine", "x", "a")
    worker.topology.restorer.missed(taken(world.account, worker, "mine"))
    world.run(MINUTE)
    (name,) = world.account.queues
    assert name.startswith("app-kombu-tmp-")
    assert not world.account.subscriptions


def test_what_its_owner_deletes_while_it_is_gone_is_not_restored(world: World) -> None:
    """It is no error, either."""
    worker = Worker(world, 0)
    declared(worker, private(), "a")
    queue = taken(world.account, worker, "mine")
    assert worker.provisioner.delete_queue("mine") == 0
    worker.topology.restorer.missed(queue)
    world.run(MINUTE)
    assert not world.account.queues
    assert not world.account.subscriptions


def test_a_queue_whose_connection_closes_while_it_is_restored_is_gone(world: World, failing: Failing) -> None:
    """And nothing of it is left."""
    worker, connection, moved = Worker(world, 0), Connection(), list[Queue]()
    declared(worker, private(), "a", by=connection)
    queue = taken(world.account, worker, "mine")
    failing("create_queue", lambda: worker.janitor.connection_closed(connection))
    worker.topology.restorer.missed(queue, moved.append)
    world.run(1)
    assert not moved
    assert not [name for name in world.account.queues if name.endswith("-mine")]
    assert not world.account.subscriptions
    assert not worker.provisioner.temporary.queues


# -- names of deleted queues, which rest for a minute -----------------------------------------------------------


def test_a_swept_reply_queue_is_back_when_its_name_may_be_used(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Under its own name, by which others find it; nothing sleeps meanwhile, and the log has one line a minute."""
    worker, moved = Worker(world, 0), list[Queue]()
    worker.start()
    name = next(name for name in world.account.queues if "reply" in name)
    queue = next(queue for queue in worker.provisioner.temporary.queues if queue.url.endswith(name))
    world.account.delete_queue(queue.url)
    for _ in range(3):
        worker.topology.restorer.missed(queue, moved.append)
    world.run(MINUTE - 1)
    assert name not in world.account.queues
    world.run(MINUTE + 10)
    assert name in world.account.queues
    assert {one.url for one in moved} == {queue.url}
    assert caplog.text.count("could not be made again yet") == 1


@pytest.mark.parametrize("end", [Worker.end, Worker.kill], ids=["ended", "killed"])
def test_a_worker_that_is_started_again_at_once_has_its_mailbox(
    world: World, caplog: pytest.LogCaptureFixture, end: Callable[[Worker], None]
) -> None:
    """Its name is the old one's, and is barred for a minute; that of its queue is not. Nothing waits."""
    old, new = Worker(world, 7), Worker(world, 7, life=1)
    old.start()
    end(old)
    new.start()
    mailbox = new.provisioner.queue_to_consume("w0007@host.celery.pidbox")
    assert world.account.queues[mailbox.url.rpartition("/")[2]].tags["kombu:owner"] == new.owner
    events = {vars(record).get("sns_sqs_event") for record in caplog.records}
    assert "name_rests" not in events


def maker_of(worker: Worker, world: World) -> QueueMaker:
    """What makes a worker's queues, for which time passes while it sleeps."""
    control = world.account.control(worker.name)
    return QueueMaker(
        control=control,
        directory=worker.directory,
        access=Access(control=control, directory=worker.directory, options=OPTIONS),
        options=OPTIONS,
        sleep=lambda seconds: world.run(world.now + seconds),
    )


def test_a_lasting_queue_is_made_as_soon_as_its_name_may_be_used(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Who declares it waits for that, and the log says why."""
    worker = Worker(world, 0)
    declared(worker, lasting())
    worker.provisioner.delete_queue("q")
    maker_of(worker, world).make(lasting())
    assert list(world.account.queues) == ["app-q"]
    assert MINUTE <= world.now <= MINUTE + 10
    assert {vars(record)["sns_sqs_event"] for record in caplog.records} == {"name_rests"}


def test_a_name_that_stays_barred_is_an_error_in_the_end(world: World, failing: Failing) -> None:
    """After more than a minute."""
    failing("create_queue", "QueueDeletedRecently", times=100)
    with pytest.raises(ChannelFailed, match="QueueDeletedRecently"):
        maker_of(Worker(world, 0), world).make(lasting())
    assert world.now > MINUTE
