"""Who is dead, in virtual time: a sweeper that lists and looks, and owners that give signs or do not."""

from __future__ import annotations

import math
import random

import pytest

from kombu_sns_sqs.sweeping.life_sign import LifeSign
from kombu_sns_sqs.sweeping.times import Times
from kombu_sns_sqs.sweeping.vigil import Vigil
from kombu_sns_sqs.temporary_names import mark_of, temporary_name_of, temporary_queue_name
from kombu_sns_sqs.topology.bindings import binding_tag

PERIOD = 420.0
TIMES = Times(PERIOD)
MINUTE = 60.0
UUID = "123e4567-e89b-12d3-a456-426614174000"


def private(owner: str, tail: str = "tok0", made_at: int = 1_700_000_000) -> str:
    """Name a bound temporary queue."""
    return temporary_queue_name("q", owner=owner, created=made_at, token=tail)


class World:
    """Queues with tags, owners that give signs, and the sweeper's watch over them."""

    def __init__(self, seed: int = 1) -> None:
        self.now = 0.0
        self.dice = random.Random(seed)
        self.tags: dict[str, dict[str, str]] = {}
        self.vigil = Vigil(own="sweeper00", prefix="", period=PERIOD)
        self.bearers: dict[str, str] = {}
        self.counts: dict[str, int] = {}
        self.next_sign: dict[str, float] = {}
        self.swept: dict[str, float] = {}
        self.looks = 0
        #: Whether signs can be given at all, and what cannot be read.
        self.tagging = True
        self.unreadable: set[str] = set()
        #: What the next list passes over.
        self.passed_over: set[str] = set()
        #: How many tags are read in a second at most.
        self.pace = math.inf
        self._list_at = 0.0

    def make(self, owner: str, *names: str, period: float = PERIOD, **tags: str) -> None:
        """Make queues of an owner, which gives signs from now on."""
        for name in names or (private(owner),):
            self.tags[name] = {"kombu:owner": owner, "kombu:sign": str(LifeSign(0, period)), **tags}
        self.bearers[owner] = (names or (private(owner),))[0]
        self.counts[owner] = 0
        self.next_sign[owner] = self.now + TIMES.next_sign(self.dice.random())

    def kill(self, *owners: str) -> None:
        """Let owners give no more signs."""
        for owner in owners:
            del self.next_sign[owner]

    def _signs(self) -> None:
        for owner, at in self.next_sign.items():
            if at > self.now:
                continue
            if not self.tagging:
                self.next_sign[owner] = self.now + TIMES.sign_again
                continue
            self.counts[owner] += 1
            self.tags[self.bearers[owner]]["kombu:sign"] = str(LifeSign(self.counts[owner], PERIOD))
            self.next_sign[owner] = self.now + TIMES.next_sign(self.dice.random())

    def _sweep(self, step: float) -> None:
        self.vigil.pass_time(self.now)
        if self.now >= self._list_at:
            self.vigil.listed({name: f"https://sqs/{name}" for name in self.tags if name not in self.passed_over})
            self.passed_over = set()
            self._list_at = self.now + TIMES.listing
        if self.vigil.wants_proof and self.tagging:
            self.vigil.proved()
        limit = self.looks + self.pace * step
        while self.looks < limit and (look := self.vigil.next_look()) is not None:
            self.looks += 1
            if look[0] in self.unreadable:
                self.vigil.look_again(look[0], TIMES.sign_again)
            else:
                self.vigil.saw(look[0], self.tags.get(look[0]))
            self._remove()
        self._remove()

    def _remove(self) -> None:
        for left in self.vigil.take_dead().values():
            for queue in left:
                self.swept[queue.name] = self.now
                del self.tags[queue.name]

    def run(self, seconds: float, *, sweeping: bool = True, step: float = 5.0) -> None:
        """Let time pass."""
        until = self.now + seconds
        while self.now < until:
            self.now += step
            self._signs()
            if sweeping:
                self._sweep(step)


def test_what_the_dead_have_left_is_found_within_twenty_minutes() -> None:
    """However their last signs, their death and the sweeper's looks fall; not before they have missed one."""
    for seed in range(20):
        world = World(seed)
        owners = [f"owner{number:03}" for number in range(30)]
        for owner in owners:
            world.run(world.dice.random() * 60)
            world.make(owner, private(owner, "tok1"), private(owner, "tok2"))
        world.run(30 * MINUTE)
        dead, killed_at = owners[::3], world.now
        world.kill(*dead)
        world.run(20 * MINUTE)
        assert world.swept.keys() == {private(owner, token) for owner in dead for token in ("tok1", "tok2")}
        assert min(world.swept.values()) > killed_at + PERIOD / 4


def test_a_list_that_passes_a_queue_over_puts_no_verdict_off() -> None:
    """Page by page, while others go: to take it for gone would begin everything anew."""
    world = World()
    names = private("owner000", "tok1"), private("owner000", "tok2")
    world.make("owner000", *names)
    world.run(30 * MINUTE)
    world.kill("owner000")
    for number in range(7):
        world.passed_over = {names[number % 2]}
        world.run(TIMES.listing)
    assert world.swept.keys() == set(names)


def test_a_queue_that_two_lists_do_not_have_is_gone() -> None:
    """And so is its owner, with the last: nothing more is read."""
    world = World()
    world.make("owner000")
    world.run(MINUTE)
    world.kill("owner000")
    world.tags.clear()
    world.run(2 * TIMES.listing + 10)
    looks = world.looks
    world.run(60 * MINUTE)
    assert world.looks == looks
    assert world.swept == {}


def test_where_many_have_ended_more_is_read_but_never_much_more() -> None:
    """Their signs were calls on tags, too."""
    world = World()
    for number in range(40):
        world.make(f"owner{number:03}")
    world.run(10 * MINUTE)
    assert world.vigil.silent == 0
    world.kill(*(f"owner{number:03}" for number in range(0, 40, 4)))
    world.run(20 * MINUTE)
    assert len(world.swept) == world.vigil.silent == 10
    assert TIMES.look(10) < TIMES.look()
    assert 1000 / PERIOD + 1 / TIMES.look(1000) < 6
    assert 1 / TIMES.look(10_000) == 1 / TIMES.look(1000)


def test_who_lives_is_never_taken_for_dead() -> None:
    """A hundred of them, for a day."""
    world = World()
    for number in range(100):
        world.make(f"owner{number:03}")
    world.run(24 * 60 * MINUTE, step=12.0)
    assert world.swept == {}


def test_who_lives_is_not_taken_for_dead_where_more_is_due_than_can_be_read() -> None:
    """Of 1,500; ten have their signs on reply queues, whose names do not tell that they are theirs."""
    world = World()
    world.pace = 1 / TIMES.look()
    for number in range(1500):
        world.make(f"owner{number:04}")
    for number in range(10):
        world.make(f"caller{number:02}", temporary_name_of(f"{UUID[:-1]}{number}"), private(f"caller{number:02}"))
    world.run(2 * 60 * MINUTE)
    assert world.looks > 0.9 * 2 * 60 * MINUTE / TIMES.look()
    assert world.swept == {}
    world.kill("caller03")
    world.run(40 * MINUTE)
    assert world.swept.keys() == {temporary_name_of(f"{UUID[:-1]}3"), private("caller03")}


def test_a_look_costs_one_reading_for_each_owner_and_period_however_many_queues_it_has() -> None:
    """The bearer of the sign is read, and the others only when somebody is suspected."""
    world = World()
    for number in range(10):
        owner = f"owner{number:03}"
        world.make(owner, *(private(owner, f"tok{queue}") for queue in range(5)))
    world.run(60 * MINUTE)
    assert world.looks <= 10 * (60 * MINUTE / PERIOD + 1)


def test_a_new_sweeper_knows_nothing_and_takes_nobody_for_dead_at_first_sight() -> None:
    """The names say that the queues are years old."""
    world = World()
    world.make("ancient00", private("ancient00", made_at=100_000_000))
    world.run(PERIOD * 0.8)
    assert world.swept == {}


def test_an_owner_that_moves_its_sign_to_another_queue_lives() -> None:
    """The queue that bore it is still there; before the verdict all of its queues are read."""
    world = World()
    one, two = private("owner000", "tok1"), private("owner000", "tok2")
    world.make("owner000", one, two)
    world.run(20 * MINUTE)
    world.bearers["owner000"] = two
    world.run(60 * MINUTE)
    assert world.swept == {}


def test_an_owner_that_deletes_the_queue_that_bore_its_sign_lives() -> None:
    """It gives the next one somewhere else, and is dead only when none comes there either."""
    world = World()
    one, two = private("owner000", "tok1"), private("owner000", "tok2")
    world.make("owner000", one, two)
    world.run(20 * MINUTE)
    world.bearers["owner000"] = two
    del world.tags[one]
    world.run(60 * MINUTE)
    assert world.swept == {}
    world.kill("owner000")
    world.run(20 * MINUTE)
    assert world.swept.keys() == {two}


def test_a_queue_that_is_found_by_name_is_its_owners_by_its_tag() -> None:
    """A reply queue's name does not tell whose it is; it goes with the others of its owner, and alone."""
    world = World()
    reply, alone = temporary_name_of(UUID), temporary_name_of(f"{UUID}.reply.celery.pidbox")
    world.make("owner000", private("owner000"), reply)
    world.make("owner111", alone)
    world.run(10 * MINUTE)
    world.kill("owner000", "owner111")
    world.run(20 * MINUTE)
    assert world.swept.keys() == {private("owner000"), reply, alone}


@pytest.mark.parametrize(
    ("name", "tags"),
    [
        (private("owner000"), {}),
        (private("owner000"), {"kombu:owner": "owner000"}),
        (private("owner000"), {"kombu:owner": "owner000", "kombu:sign": "yes"}),
        (private("owner000"), {"kombu:owner": "another0", "kombu:sign": "0/420"}),
        (private("sweeper00"), {"kombu:owner": "sweeper00", "kombu:sign": "0/420"}),
        (temporary_name_of(UUID), {"kombu:owner": "sweeper00", "kombu:sign": "0/420"}),
        ("celery", {"kombu:owner": "owner000", "kombu:sign": "0/420"}),
        ("kombu-tmp-sweeper.fifo", {"kombu:owner": "owner000", "kombu:sign": "0/420"}),
    ],
    ids=["no tags", "no signs", "strange sign", "not whose name it has", "own", "own, by tag", "lasting", "the lock"],
)
def test_what_is_not_for_certain_a_dead_process_s_stays(name: str, tags: dict[str, str]) -> None:
    """Shape, owner and sign have to say the same."""
    world = World()
    world.tags[name] = tags
    world.run(60 * MINUTE)
    assert world.swept == {}


def test_an_owner_with_a_longer_period_is_judged_by_its_own() -> None:
    """It is not the sweeper's options that say how often somebody else gives signs."""
    world = World()
    world.make("owner000", period=10 * PERIOD)
    world.kill("owner000")
    world.run(10 * PERIOD)
    assert world.swept == {}
    world.run(12 * PERIOD)
    assert world.swept.keys() == {private("owner000")}


def test_an_owner_with_a_shorter_period_is_judged_by_the_sweepers() -> None:
    """The sweeper cannot tell stalls that are shorter than its own."""
    world = World()
    world.make("owner000", period=PERIOD / 100)
    world.kill("owner000")
    world.run(PERIOD)
    assert world.swept == {}


def test_while_no_signs_can_be_given_nobody_is_taken_for_dead() -> None:
    """The service refuses to write tags, for any time, again and again."""
    world = World()
    for number in range(20):
        world.make(f"owner{number:03}")
    for minutes in (1, 3, 9, 27, 60, 2, 8):
        world.run(world.dice.random() * 20 * MINUTE)
        world.tagging = False
        world.run(minutes * MINUTE)
        world.tagging = True
    world.run(30 * MINUTE)
    assert world.swept == {}


@pytest.mark.parametrize("minutes", [1, 10, 60])
def test_who_stood_still_together_with_the_sweeper_lives(minutes: float) -> None:
    """A laptop that slept, a pod that was paused: the time they were away does not count as watched."""
    world = World()
    for number in range(50):
        world.make(f"owner{number:03}")
    for _ in range(10):
        world.run(world.dice.random() * 20 * MINUTE)
        world.now += minutes * MINUTE
        # The harder case: their clocks stood still, too.
        world.next_sign = {owner: at + minutes * MINUTE for owner, at in world.next_sign.items()}
    world.run(30 * MINUTE)
    assert world.swept == {}


def test_what_a_queue_is_bound_to_is_told_with_it() -> None:
    """Its subscriptions are found by that."""
    world = World()
    world.make("owner000", **dict([binding_tag("celeryev", "worker.#")]))
    world.kill("owner000")
    vigil, found = world.vigil, {}
    while not found:
        world.now += 5
        vigil.pass_time(world.now)
        vigil.listed({name: f"https://sqs/{name}" for name in world.tags})
        while (look := vigil.next_look()) is not None:
            vigil.saw(look[0], world.tags[look[0]])
        if vigil.wants_proof:
            vigil.proved()
        found = vigil.take_dead()
    ((left,),) = found.values()
    assert (left.name, left.url, left.exchanges) == (
        private("owner000"),
        f"https://sqs/{private('owner000')}",
        {"celeryev"},
    )


def test_one_that_cannot_be_read_keeps_the_others_waiting_for_a_moment_only() -> None:
    """Twenty die; the tags of one's queue cannot be read."""
    world = World()
    owners = [f"owner{number:03}" for number in range(20)]
    for owner in owners:
        world.make(owner, private(owner, "tok1"), private(owner, "tok2"))
    world.run(10 * MINUTE)
    world.kill(*owners)
    world.unreadable.add(private("owner007", "tok2"))
    world.run(20 * MINUTE)
    assert world.swept.keys() == {
        private(owner, token) for owner in owners if owner != "owner007" for token in ("tok1", "tok2")
    }


@pytest.mark.parametrize("sign", [LifeSign(0, 420), LifeSign(17, 0.5), LifeSign(999_999, 86_400.0)])
def test_a_sign_is_read_as_it_was_written(sign: LifeSign) -> None:
    """By another process, and perhaps another release."""
    assert LifeSign.parse(str(sign)) == sign


def test_a_sign_is_written_the_same_from_release_to_release() -> None:
    """A fleet is not brought up to date in one moment."""
    assert str(LifeSign(3, 420.0)) == "3/420"


@pytest.mark.parametrize("tag", [None, "", "3", "3/", "/420", "-1/420", "3/420/1", "3/x"])
def test_what_is_no_sign_is_read_as_none(tag: str | None) -> None:
    """Whoever made the queue gives none."""
    assert LifeSign.parse(tag) is None


def test_the_budget_of_a_thousand_processes() -> None:
    """Signs that are written and tags that are read, together, in a second."""
    written = 1000 / (PERIOD * (1 - 0.1 / 2))
    assert written + 1 / TIMES.look() <= 5


def test_a_queue_that_is_listed_after_it_was_deleted_is_not_looked_at_again() -> None:
    """SQS lists it for a minute more."""
    world = World()
    world.make("owner000")
    world.kill("owner000")
    world.run(12 * MINUTE)
    assert world.swept
    looks = world.looks
    world.tags[private("owner000")] = {}
    world.vigil.listed({private("owner000"): "https://sqs/q"})
    world.run(MINUTE)
    assert world.looks == looks


def test_an_owner_that_makes_a_queue_while_it_is_suspected_lives() -> None:
    """Whatever keeps it from giving signs."""
    world = World()
    world.make("owner000")
    world.kill("owner000")
    world.tagging = False
    world.run(12 * MINUTE)
    world.tags[private("owner000", "tok2")] = world.tags[private("owner000")]
    world.run(3 * MINUTE)
    world.tagging = True
    world.run(3 * MINUTE)
    assert world.swept == {}


def test_what_its_owner_says_is_its_own_is_read_only_with_the_verdict() -> None:
    """A sign of life tells whose the queues are whose names do not: a reading less for each of them."""
    marks = {"kombu:marks": " ".join(mark_of(temporary_name_of(f"{UUID[:-1]}{number}")) for number in range(8))}
    world = World()
    world.make("owner000", private("owner000"), *(temporary_name_of(f"{UUID[:-1]}{number}") for number in range(8)))
    world.tags[private("owner000")].update(marks)
    world.run(10 * MINUTE)
    assert world.looks <= 3
    world.kill("owner000")
    world.run(20 * MINUTE)
    assert len(world.swept) == 9


def test_a_queue_of_anothers_is_not_swept_whoever_says_it_is_his() -> None:
    """The tags of the queue itself have the last word."""
    world = World()
    world.make("owner000", private("owner000"), **{"kombu:marks": mark_of(temporary_name_of(UUID))})
    world.make("owner111", temporary_name_of(UUID))
    world.kill("owner000")
    world.run(60 * MINUTE)
    assert world.swept.keys() == {private("owner000")}
    world.kill("owner111")
    world.run(20 * MINUTE)
    assert world.swept.keys() == {private("owner000"), temporary_name_of(UUID)}


# -- tags that do not say what they should -------------------------------------------------------------------


@pytest.mark.parametrize("tags", [{}, {"kombu:sign": "7/420"}, {"kombu:owner": "another0", "kombu:sign": "7/420"}])
def test_an_owner_of_whose_queues_one_lost_its_tags_is_not_judged_by_the_others(tags: dict[str, str]) -> None:
    """It may give its signs there; nor is it judged once it is dead, unless that queue is gone."""
    world = World()
    one, two = private("owner000", "tok1"), private("owner000", "tok2")
    world.make("owner000", one, two)
    world.run(20 * MINUTE)
    world.tags[one] = dict(tags)
    world.run(60 * MINUTE)
    world.kill("owner000")
    world.run(60 * MINUTE)
    assert world.swept == {}
    looks = world.looks
    world.run(60 * MINUTE)
    assert world.looks <= looks + 1
    del world.tags[one]
    world.run(20 * MINUTE)
    assert world.swept.keys() == {two}


def test_an_owner_whose_queue_has_its_tags_again_is_judged() -> None:
    """A tag that was not there yet, or was taken away for a while."""
    world = World()
    one, two = private("owner000", "tok1"), private("owner000", "tok2")
    world.make("owner000", one, two)
    tags, world.tags[one] = world.tags[one], {}
    world.kill("owner000")
    world.run(30 * MINUTE)
    assert world.swept == {}
    world.tags[one] = tags
    world.run(100 * MINUTE)
    assert world.swept.keys() == {one, two}
