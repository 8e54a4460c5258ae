"""A thousand workers start, live for an hour and end, in virtual time: what that costs in calls on queues and topics.

docs/costs.md has the table.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.costs import END, START
from tests.simulation.account import SNS_TAG_CALLS, SNS_TAG_RATE, SQS_TAG_CALLS, SQS_TAG_RATE
from tests.simulation.fleet import HOUR, MINUTE, Fleet

if TYPE_CHECKING:
    from tests.simulation.fleet import Worker

WORKERS = 1000


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    """Workers that have started and lived for an hour together; tests look at them in the order of the file."""
    fleet = Fleet()
    fleet.world.run(WORKERS + HOUR)
    return fleet


def test_the_thousandth_start_costs_what_the_second_does_as_the_page_says(fleet: Fleet) -> None:
    """The first makes what all of them share, and costs no less."""
    first, second, last = (fleet.calls_of_start(fleet.workers[number]) for number in (0, 1, WORKERS - 1))
    assert last == second == START
    assert START.total() <= first.total()


def test_a_worker_of_a_thousand_costs_little_while_it_lives(fleet: Fleet) -> None:
    """Signs of life, attempts to become the sweeper, and what one sweeper does for all of them."""
    since, until = float(WORKERS), WORKERS + HOUR
    calls = Counter(action for at, _, action in fleet.account.calls if since <= at < until)
    assert calls["tag_queue"] <= 11 * WORKERS
    assert calls["list_queue_tags"] <= 9 * WORKERS
    assert calls["receive_message"] <= 14 * WORKERS
    assert sum(calls.values()) <= 50 * WORKERS


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
        world.run(world.now + 1)
        gone_at |= dict.fromkeys(killed_at.keys() - gone_at.keys() - fleet.owners, world.now)
    assert killed_at.keys() == gone_at.keys()
    assert max(gone_at[owner] - killed_at[owner] for owner in killed_at) <= 20 * MINUTE
    assert fleet.owners == {worker.owner for worker in survivors}
    assert len(account.subscriptions) == 1 + len(survivors)


def test_an_end_in_order_costs_what_the_page_says(fleet: Fleet) -> None:
    """However many there are, or were."""
    worker = next(worker for worker in fleet.workers if worker.thread.alive and worker.name != fleet.sweeper)
    assert fleet.calls_of_end(worker) == END


def test_nothing_in_use_was_ever_deleted(fleet: Fleet) -> None:
    """Whoever deleted a queue was its owner, or its owner was dead."""
    owners = {worker.owner: worker for worker in fleet.workers}
    for who, tags in fleet.account.deleted:
        owner = owners[tags["kombu:owner"]]
        assert owner.name == who or not owner.thread.alive


def test_calls_on_tags_are_within_what_aws_takes_but_for_moments(fleet: Fleet) -> None:
    """In all the time above, starts, kills and sweeping included; AWS may refuse what is too much for a moment."""
    assert fleet.most(SQS_TAG_CALLS, 5 * MINUTE) <= SQS_TAG_RATE
    assert fleet.most(SQS_TAG_CALLS, 10) <= 1.6 * SQS_TAG_RATE
    assert fleet.most(SNS_TAG_CALLS, 10) <= SNS_TAG_RATE


def test_hundreds_that_are_killed_at_once_are_swept_by_the_one_that_is_left() -> None:
    """The sweeper is among the dead; it takes longer, since the tags of every queue are read before it is deleted."""
    fleet = Fleet(count=300, seed=2)
    fleet.world.run(fleet.world.now + 15 * MINUTE)
    *dying, _ = fleet.workers
    for worker in dying:
        worker.kill()
    fleet.wait_until_gone(dying, 40 * MINUTE)
    assert len(fleet.account.subscriptions) == 2


def test_a_thousand_that_start_as_fast_as_aws_lets_them_come_up_and_are_looked_after() -> None:
    """Three a second, as each reads the tags of three topics, and SNS takes ten of that; SQS throttles the last ones.

    They wait for seconds. What twenty leave, the sweeper among them, is gone little later than without throttling.
    """
    fleet = Fleet(gap=1 / 3, throttled=True)
    fleet.world.run(fleet.world.now + 5 * MINUTE)
    assert {action for _, action in fleet.throttling.refused} >= {"list_queue_tags", "tag_queue"}
    assert len(fleet.ready_at) == WORKERS
    assert max(fleet.ready_at[name] - at for name, at in fleet.started_at.items()) <= MINUTE
    sweeper = next(worker for worker in fleet.workers if worker.name == fleet.sweeper)
    victims = [sweeper, *(worker for worker in fleet.workers[::52] if worker is not sweeper)][:20]
    for worker in victims:
        worker.kill()
    fleet.wait_until_gone(victims, 25 * MINUTE)
    assert {tags["kombu:owner"] for _, tags in fleet.account.deleted} == {worker.owner for worker in victims}


def test_hundreds_that_start_at_once_come_up_one_after_the_other() -> None:
    """Refused again and again, they ask again, and begin anew where that was in vain."""
    fleet = Fleet(count=300, gap=0.01, throttled=True)
    fleet.world.run(10 * MINUTE)
    assert len(fleet.ready_at) == 300
    assert 300 * 3 / SNS_TAG_RATE - 1 <= max(fleet.ready_at.values()) <= 3 * MINUTE
    assert fleet.account.deleted == []
