"""A few processes with temporary queues in virtual time, on an account that refuses now and then."""

from __future__ import annotations

import itertools
import statistics
import threading
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from kombu_sns_sqs.errors import Kind
from kombu_sns_sqs.sweeping.lock import Lock
from kombu_sns_sqs.sweeping.sweeper import Sweeper
from kombu_sns_sqs.sweeping.times import Times
from kombu_sns_sqs.topology.temporaries import Temporaries
from tests.simulation import account as accounts
from tests.simulation.account import Refused
from tests.simulation.fleet import HOUR, MINUTE, OPTIONS, Worker, World

if TYPE_CHECKING:
    from collections.abc import Callable

    from kombu_sns_sqs.options import Options

UUID = "123e4567-e89b-12d3-a456-426614174000"


def make(world: World, count: int, options: Options = OPTIONS) -> list[Worker]:
    """Make some processes, with no queues yet."""
    return [Worker(world, number, options) for number in range(count)]


def swept(world: World) -> set[tuple[str, str]]:
    """Who has deleted what of others, by owner and name in AMQP."""
    return {(tags["kombu:owner"], tags["kombu:name"]) for _, tags in world.account.deleted}


class Refusing:
    """Weather that refuses some calls, and counts how often."""

    def __init__(self, refused: Refused, when: Callable[[str, dict[str, Any]], bool], times: int = 1_000_000) -> None:
        self._refused = refused
        self._when = when
        self._left = times
        self.count = 0

    def __call__(self, process: str, action: str, arguments: dict[str, Any]) -> None:
        """Raise, where it is to be refused."""
        if self._left and self._when(action, arguments):
            self._left -= 1
            self.count += 1
            raise self._refused


CREDENTIALS = Refused(Kind.CREDENTIALS, "InvalidClientTokenId")
REFUSED = Refused(Kind.REFUSED, "InvalidParameterValue")


# -- where signs go ------------------------------------------------------------------------------------------


def test_signs_go_to_a_queue_that_the_sweeper_finds() -> None:
    """Beside workers of sqs:// reply queues keep names that do not tell what they are, and no list shows them."""
    world = World(1)
    workers = make(world, 3, replace(OPTIONS, compat="sqs"))
    for worker in workers:
        worker.await_replies()
        worker.start()
    world.run(3 * HOUR)
    assert swept(world) == set()
    workers[0].kill()
    world.run(world.now + 20 * MINUTE)
    assert swept(world) == {(workers[0].owner, "w0000@host.celery.pidbox")}


@pytest.mark.parametrize("first", [True, False])
def test_a_queue_with_a_lasting_name_bears_no_signs(*, first: bool) -> None:
    """An exclusive queue that is bound to nothing keeps its name, as others send to it."""
    world = World(1)
    workers = make(world, 3)
    for worker in workers:
        if first:
            worker.declare(f"callbacks-{worker.name}")
        worker.start()
        worker.declare(f"callbacks-{worker.name}")
    world.run(3 * HOUR)
    assert swept(world) == set()


def test_a_process_whose_queues_no_sweeper_finds_gives_no_signs_and_does_not_sweep() -> None:
    """It could not show that signs can be given; once it has another queue it does both."""
    world = World(1)
    (worker,) = make(world, 1)
    worker.declare("callbacks")
    calls = len(world.account.calls)
    world.run(HOUR)
    assert len(world.account.calls) == calls
    worker.await_replies()
    world.run(2 * HOUR)
    actions = Counter(action for _, _, action in world.account.calls)
    assert min(actions["tag_queue"], actions["list_queues"]) >= 3


def test_a_sign_moves_from_a_reply_queue_to_one_whose_name_tells_its_owner() -> None:
    """A sweeper that has not read the reply queue yet would judge the other one alone."""
    world = World(1)
    (worker,) = make(world, 1)
    worker.await_replies()
    world.run(20 * MINUTE)
    (reply,) = (queue.tags for name, queue in world.account.queues.items() if "named" in name)
    before = reply["kombu:sign"]
    worker.start()
    world.run(world.now + 20 * MINUTE)
    (mailbox,) = (
        queue.tags for name, queue in world.account.queues.items() if "pidbox" in name and queue.tags != reply
    )
    assert reply["kombu:sign"] == before
    assert int(mailbox["kombu:sign"].partition("/")[0]) > int(before.partition("/")[0]) > 0


# -- what is refused -----------------------------------------------------------------------------------------


def dying(world: World, count: int = 2) -> list[Worker]:
    """Kill all of some workers but the one that sweeps; return them."""
    workers = make(world, count + 1)
    for worker in workers:
        worker.start()
    world.run(15 * MINUTE)
    sweeper = next(who for _, who, action in world.account.calls if action == "list_queues")
    dead = [worker for worker in workers if worker.name != sweeper]
    assert any(action == "list_queue_tags" for _, who, action in world.account.calls if who == sweeper)
    for worker in dead:
        worker.kill()
    return dead


@pytest.mark.parametrize("action", ["delete_queue", "unsubscribe", "list_subscriptions_by_topic"])
def test_what_credentials_were_refused_for_is_done_when_they_are_known_again(action: str) -> None:
    """Whichever call it was, the last one too."""
    world = World(1)
    dead = dying(world)
    world.account.weather = weather = Refusing(CREDENTIALS, lambda method, _: method == action, times=5)
    world.run(world.now + 25 * MINUTE)
    assert weather.count == 5
    assert {owner for owner, _ in swept(world)} == {worker.owner for worker in dead}
    assert len(world.account.subscriptions) == 2


def test_a_queue_that_may_not_be_deleted_keeps_no_others_and_no_sweeper_ends_by_it() -> None:
    """It is come upon again and again; those who die later are swept all the same."""
    world = World(1)
    dead = dying(world)
    stubborn = max(name for name in world.account.queues if dead[0].owner in name)
    weather = Refusing(REFUSED, lambda action, asked: action == "delete_queue" and asked["QueueUrl"].endswith(stubborn))
    world.account.weather = weather
    world.run(world.now + HOUR)
    assert weather.count > 1
    assert stubborn in world.account.queues
    assert len(swept(world)) == 3
    *_, late = make(world, 5)
    late.start()
    late.kill()
    world.run(world.now + 20 * MINUTE)
    assert late.owner in {owner for owner, _ in swept(world)}


@pytest.mark.parametrize("action", ["unsubscribe", "list_subscriptions_by_topic"])
def test_a_queue_stays_while_its_subscription_cannot_be_taken_away(action: str) -> None:
    """Nothing would lead to that any more; what is bound to nothing goes."""
    world = World(1)
    dying(world)
    world.account.weather = Refusing(REFUSED, lambda method, _: method == action)
    world.run(world.now + HOUR)
    assert {name.partition(".")[2] for _, name in swept(world)} == {"reply.celery.pidbox"}
    world.account.weather = lambda *_: None
    world.run(world.now + HOUR)
    assert len(swept(world)) == 4
    assert len(world.account.subscriptions) == 2


def test_a_queue_whose_tags_cannot_be_read_says_nothing_about_its_owner() -> None:
    """For hours; and it delays nobody else's verdict."""
    world = World(1)
    dead = dying(world)
    hidden = next(name for name in world.account.queues if dead[0].owner in name)
    world.account.weather = Refusing(
        REFUSED, lambda action, asked: action == "list_queue_tags" and asked["QueueUrl"].endswith(hidden)
    )
    world.run(world.now + 20 * MINUTE)
    assert {owner for owner, _ in swept(world)} == {dead[1].owner}
    world.run(world.now + 3 * HOUR)
    assert hidden in world.account.queues


def test_who_may_give_no_signs_leaves_sweeping_to_others() -> None:
    """It would come to no verdict, and keep those from it who could."""
    world = World(1)
    *others, mute = make(world, 4)

    def weather(process: str, action: str, _: dict[str, Any]) -> None:
        if process == mute.name and action == "tag_queue":
            raise Refused(Kind.DENIED, "AccessDenied")

    world.account.weather = weather
    mute.await_replies()
    world.run(10 * MINUTE)
    for worker in others:
        worker.start()
    world.run(30 * MINUTE)
    others[0].kill()
    world.run(world.now + 25 * MINUTE)
    assert others[0].owner in {owner for owner, _ in swept(world)}


# -- long lists ----------------------------------------------------------------------------------------------


def test_a_step_reads_a_page_of_a_long_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the pages of lists so short that each has many: one call of a list is never followed at once by another."""
    monkeypatch.setattr(accounts, "_ROWS", 1)
    monkeypatch.setattr("kombu_sns_sqs.sweeping.listing._PAGE", 2)
    world = World(1)
    dead = dying(world, count=6)
    world.run(world.now + 20 * MINUTE)
    assert {owner for owner, _ in swept(world)} == {worker.owner for worker in dead}
    for action, pages in (("list_queues", 7), ("list_subscriptions_by_topic", 6)):
        times = [at for at, _, called in world.account.calls if called == action]
        assert len(times) > pages
        # But for the one queue that is asked for first, to see whether that is allowed.
        assert len(times) <= len(set(times)) + 1


def test_a_list_that_is_interrupted_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service does not answer; and where the token of the next page is refused, it begins anew."""
    monkeypatch.setattr(accounts, "_ROWS", 1)
    monkeypatch.setattr("kombu_sns_sqs.sweeping.listing._PAGE", 2)
    world = World(1)
    dead = dying(world, count=6)
    asked = Counter[str]()

    def weather(_: str, action: str, arguments: dict[str, Any]) -> None:
        if action.startswith("list_") and arguments.get("NextToken"):
            asked[action] += 1
            if asked[action] in (3, 11):
                raise Refused(Kind.THROTTLED, "Throttling") if asked[action] == 3 else REFUSED

    world.account.weather = weather
    world.run(world.now + HOUR)
    assert {owner for owner, _ in swept(world)} == {worker.owner for worker in dead}
    assert len(world.account.subscriptions) == 2


def test_while_much_is_deleted_others_are_watched() -> None:
    """What has to be read meanwhile is not put off until the last of a hundred is gone."""
    world = World(1)
    workers = make(world, 160)
    for number, worker in enumerate(workers):
        world.at(float(number), worker.start)
    world.run(HOUR)
    sweeper = next(who for _, who, action in reversed(world.account.calls) if action == "list_queue_tags")
    dead = [worker for worker in workers if worker.name != sweeper][:100]
    for worker in dead:
        worker.kill()
    began = world.now
    world.run(world.now + 20 * MINUTE)
    assert {owner for owner, _ in swept(world)} == {worker.owner for worker in dead}
    calls = [action for at, who, action in world.account.calls if at > began and who == sweeper]
    runs = [len(list(run)) for action, run in itertools.groupby(calls) if action in {"delete_queue", "unsubscribe"}]
    assert statistics.median(runs) <= 5


# -- the right to sweep --------------------------------------------------------------------------------------


@pytest.mark.parametrize("period", [0.5, 420.0, 12_000.0, 36_000.0, 86_400.0])
def test_the_right_to_sweep_is_kept_for_days_with_any_period(period: float) -> None:
    """SQS keeps a message in flight for twelve hours, and no renewal may ask for more."""
    world = World(1)
    lease = Times(period).lease
    lock = Lock(
        control=world.account.control("w0000"),
        options=replace(OPTIONS, sweep_period=period),
        lease=lease,
        clock=lambda: world.now,
    )
    assert lock.take()
    while world.now < 4 * 24 * HOUR:
        world.now += max(60.0, min(Times(period).idle, lease / 3))
        assert lock.keep() or lease < 60


# -- what nobody foresaw -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "action", ["tag_queue", "list_queues", "list_queue_tags", "receive_message", "delete_queue", "unsubscribe"]
)
def test_an_error_that_nobody_foresaw_ends_neither_signs_nor_sweeping(action: str) -> None:
    """The thread logs it and goes on; of the others the sweeper knows nothing then, as what it knew may be wrong."""
    world = World(1)
    dead = dying(world)
    raised = 0

    def weather(_: str, called: str, __: dict[str, Any]) -> None:
        if called == action and not raised:
            raise ZeroDivisionError

    world.account.weather = weather
    until = world.now + 45 * MINUTE
    while world.now < until:
        try:
            world.run(until)
        except ZeroDivisionError:
            raised += 1
    assert raised or action == "receive_message"
    assert {owner for owner, _ in swept(world)} == {worker.owner for worker in dead}


class Slow:
    """Options that take two threads to be read, at the same moment."""

    sweep_period, queue_name_prefix, read_timeout = 420.0, "", 1.0

    def __init__(self) -> None:
        self._both = threading.Barrier(2, timeout=10)

    @property
    def topology(self) -> str:
        """Tell it when both are here."""
        self._both.wait()
        return "create"


def test_two_threads_that_make_a_queue_at_once_start_one_thread() -> None:
    """With two, a process would give twice as many signs, and sweep with itself."""
    world = World(1)
    begun: list[float] = []
    sweeper = Sweeper(
        control=world.account.control("w0000"),
        directory=None,  # type: ignore[arg-type]
        subscriptions=None,  # type: ignore[arg-type]
        temporaries=Temporaries(),
        owner="owner000",
        on_gone=lambda _: None,
        options=Slow(),  # type: ignore[arg-type]
        thread=SimpleNamespace(call_later=lambda delay, _: begun.append(delay), stop=lambda _: None),
    )
    threads = [threading.Thread(target=sweeper.start) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(begun) == 2


def test_the_end_of_a_process_goes_on_whatever_its_sweeper_meets(caplog: pytest.LogCaptureFixture) -> None:
    """Acks and give-backs come after it."""
    world = World(1)
    (worker,) = make(world, 1)
    worker.start()
    world.run(15 * MINUTE)

    def weather(*_: object) -> None:
        raise ZeroDivisionError

    world.account.weather = weather
    worker.sweeper.stop(1.0)
    assert "could not be left to others" in caplog.text
