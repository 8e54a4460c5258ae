"""A thousand workers start, live for an hour and end, in virtual time: what that costs in calls on queues and topics.

What names, binds, gives signs of life and sweeps is the code that runs in production; messages are not simulated.
docs/costs.md has the table.
"""

from __future__ import annotations

from collections import Counter

import pytest

from tests.simulation.worker import Worker, World

WORKERS = 1000
MINUTE = 60.0
HOUR = 60 * MINUTE
#: Calls that SQS limits to five a second and account.
TAG_CALLS = {"tag_queue", "untag_queue", "list_queue_tags"}


class Fleet:
    """Workers, one of them new every second; what they have cost is in the account."""

    def __init__(self, count: int = WORKERS, seed: int = 1) -> None:
        self.world = World(seed)
        self.account = self.world.account
        self.workers = [Worker(self.world, number) for number in range(count)]
        self.started_at: dict[str, float] = {}
        for number, worker in enumerate(self.workers):
            self.world.at(float(number), lambda worker=worker: self._start(worker))
        self.world.run(float(count))

    def _start(self, worker: Worker) -> None:
        self.started_at[worker.name] = self.world.now
        worker.start()

    def calls_of_start(self, worker: Worker) -> Counter[str]:
        """What the start of a worker has cost."""
        at = self.started_at[worker.name]
        return self.account.count(worker.name, at, at + 1e-9)

    @property
    def sweeper(self) -> str:
        """Who has read tags last."""
        return next(who for _, who, action in reversed(self.account.calls) if action == "list_queue_tags")

    @property
    def owners(self) -> set[str]:
        """Whose temporary queues there are."""
        tags = [queue.tags for queue in self.account.queues.values()]
        return {one["kombu:owner"] for one in tags if "kombu:owner" in one}

    def wait_until_gone(self, workers: list[Worker], limit: float) -> float:
        """Let time pass until nothing is left of some workers, and return how long it took."""
        began, owners = self.world.now, {worker.owner for worker in workers}
        while owners & self.owners:
            assert self.world.now < began + limit, len(owners & self.owners)
            self.world.run(self.world.now + 30)
        return self.world.now - began

    def tag_calls(self, since: float, until: float) -> float:
        """How many a second there were."""
        times = [at for at, _, action in self.account.calls if action in TAG_CALLS and since <= at < until]
        return len(times) / (until - since)


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    """Workers that have started and lived for an hour together; tests look at them in the order of the file."""
    fleet = Fleet()
    fleet.world.run(WORKERS + HOUR)
    return fleet


def test_the_thousandth_start_costs_as_many_calls_as_the_first(fleet: Fleet) -> None:
    """The second, that is: the first makes what all of them share, and costs no less."""
    first, second, last = (fleet.calls_of_start(fleet.workers[number]) for number in (0, 1, WORKERS - 1))
    assert last == second
    assert sum(last.values()) <= sum(first.values())
    assert sum(last.values()) <= 20


def test_a_worker_of_a_thousand_costs_little_while_it_lives(fleet: Fleet) -> None:
    """Signs of life, attempts to become the sweeper, and what one sweeper does for all of them."""
    since, until = float(WORKERS), WORKERS + HOUR
    calls = Counter(action for at, _, action in fleet.account.calls if since <= at < until)
    assert calls["tag_queue"] <= 11 * WORKERS
    assert calls["list_queue_tags"] <= 9 * WORKERS
    assert calls["receive_message"] <= 14 * WORKERS
    assert sum(calls.values()) <= 50 * WORKERS


def test_calls_on_tags_stay_within_five_a_second(fleet: Fleet) -> None:
    """Those that write signs and those that read them, in any five minutes of the hour."""
    for minute in range(56):
        since = WORKERS + minute * MINUTE
        assert fleet.tag_calls(since, since + 5 * MINUTE) <= 5


def test_one_of_a_thousand_sweeps(fleet: Fleet) -> None:
    """Nobody else has read a tag in all the hour."""
    lists = {who for at, who, action in fleet.account.calls if action == "list_queue_tags" and at > WORKERS}
    assert len(lists) == 1


def test_what_twenty_leave_is_gone_within_twenty_minutes_though_the_sweeper_is_one_of_them(fleet: Fleet) -> None:
    """Another finds out who of a thousand lives, and who does not."""
    sweeper = next(worker for worker in fleet.workers if worker.name == fleet.sweeper)
    victims = [sweeper, *(worker for worker in fleet.workers[::52] if worker is not sweeper)][:20]
    for worker in victims:
        worker.kill()
    fleet.wait_until_gone(victims, 20 * MINUTE)


def test_what_they_leave_is_gone_within_twenty_minutes_of_their_end(fleet: Fleet) -> None:
    """Every other one is killed, one every four seconds; the rest end in order; a few live on and lose nothing."""
    world, account = fleet.world, fleet.account
    living = [worker for worker in fleet.workers if worker.thread.alive]
    survivors = [worker for number, worker in enumerate(living) if number % 100 == 0 or worker.name == fleet.sweeper]
    dying = [worker for worker in living if worker not in survivors]
    killed_at: dict[str, float] = {}

    def kill(worker: Worker) -> None:
        killed_at[worker.owner] = world.now
        worker.kill()

    began = world.now
    for number, worker in enumerate(dying):
        world.at(began + 2.0 * number, worker.end if number % 2 else lambda worker=worker: kill(worker))
    gone_at: dict[str, float] = {}
    while world.now < began + 2 * WORKERS + 20 * MINUTE:
        world.run(world.now + 30)
        gone_at |= dict.fromkeys(killed_at.keys() - gone_at.keys() - fleet.owners, world.now)
    assert killed_at.keys() == gone_at.keys()
    assert max(gone_at[owner] - killed_at[owner] for owner in killed_at) <= 20 * MINUTE
    assert fleet.owners == {worker.owner for worker in survivors}
    assert len(account.subscriptions) == 1 + len(survivors)


def test_nothing_in_use_was_ever_deleted(fleet: Fleet) -> None:
    """Whoever deleted a queue was its owner, or its owner was dead."""
    owners = {worker.owner: worker for worker in fleet.workers}
    for who, tags in fleet.account.deleted:
        owner = owners[tags["kombu:owner"]]
        assert owner.name == who or not owner.thread.alive
    assert not any(worker.missed for worker in fleet.workers)


def test_hundreds_that_are_killed_at_once_are_swept_by_the_one_that_is_left() -> None:
    """The sweeper is among the dead; it takes longer, since the tags of every queue are read before it is deleted."""
    fleet = Fleet(count=300, seed=2)
    fleet.world.run(fleet.world.now + 15 * MINUTE)
    died = fleet.world.now
    *dying, _ = fleet.workers
    for worker in dying:
        worker.kill()
    fleet.wait_until_gone(dying, 40 * MINUTE)
    assert len(fleet.account.subscriptions) == 2
    assert fleet.tag_calls(died, fleet.world.now) <= 5
