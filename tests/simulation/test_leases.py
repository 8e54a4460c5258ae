"""Ten thousand messages in virtual time: what is run, how often, and by how many requests."""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left, bisect_right

import pytest

from kombu_sns_sqs.receiving.pace import MAX_POLLS
from tests.simulation.world import ACK_DELAY, LEASE, WAIT, Report, Weather, World

MESSAGES = 10_000
CALM = Weather(given_back=0.02)
STORM = Weather(
    crash_every=2000,
    stall_every=900,
    stall_seconds=240,
    failing=0.05,
    refused=0.01,
    duplicates=0.01,
    given_back=0.02,
)


def check_promises(report: Report, messages: int) -> None:
    """Hold what happened against what is promised of every run."""
    assert len(report.finished) == messages, "a message was lost"
    twice_by_one = {one: runs for one, runs in report.began.items() if len(set(runs)) < len(runs)}
    assert twice_by_one == {}, "a process ran a message twice"
    unexplained = {one: runs for one, runs in report.began.items() if len(runs) > 1 + report.causes[one]}
    assert unexplained == {}, "a message was run twice without crash, reported loss or duplicate"


def held(report: Report, process: int, since: float, until: float) -> int:
    """Count the messages that a process had in hand at some time between two moments."""
    return bisect_right(report.came[process], until) - bisect_left(report.went[process], since)


def check_every_half_lease(report: Report) -> None:
    """One request per ten messages at most, over any half lease, of any process."""
    for process, moments in report.renewed.items():
        for position, moment in enumerate(moments):
            since = moment - LEASE / 2
            requests = position + 1 - bisect_right(moments, since)
            assert requests <= math.ceil(held(report, process, since, moment) / 10), (process, moment)


def check_all_in_all(report: Report) -> None:
    """The same in the sum, where requests that have failed throw leases out of step; what failed is asked for again."""
    allowed = report.failed_renewals
    for process, moments in report.renewed.items():
        for moment in range(0, math.ceil(moments[-1] if moments else 0), LEASE // 2):
            allowed += math.ceil(held(report, process, moment, moment + LEASE / 2) / 10)
    assert report.calls["renew"] <= allowed


def check_receives(report: Report) -> None:
    """One for each message at most, and one in 20 seconds while there are none.

    A queue that has been busy has more than one poll open when it is empty: three for each full answer at most. What
    has failed, and what is not answered at the end, comes on top.
    """
    seconds = sum(until - since for since, until in report.lived.values())
    nothing = seconds / WAIT + len(report.lived) + 3 * report.answers["full"]
    assert report.answers["empty"] <= nothing
    not_answered = MAX_POLLS * len(report.lived)
    assert report.calls["receive"] <= report.received + nothing + report.answers["failed"] + not_answered


def check_deletes(report: Report) -> None:
    """One request for each message at most, ten to a request, and two that are not full within no ``ack_delay``.

    What has failed is asked for again, alone.
    """
    for process, requests in report.deleted.items():
        for (before, _), (moment, size) in itertools.pairwise(requests):
            assert size == 10 or moment >= before + ACK_DELAY - 1e-6, (process, moment)
    asked = sum(size for requests in report.deleted.values() for _, size in requests)
    assert report.calls["delete"] <= sum(map(len, report.deleted.values())) + report.failed_deletions
    assert asked <= report.received


def test_on_a_calm_day_every_message_is_run_exactly_once() -> None:
    """By eight processes, some tasks for five times their lease; no lease is lost, nothing is asked for in vain."""
    report = World(seed=1, weather=CALM, messages=MESSAGES).run()
    check_promises(report, MESSAGES)
    check_every_half_lease(report)
    check_receives(report)
    check_deletes(report)
    assert {len(runs) for runs in report.began.values()} == {1}
    assert report.losses == []


@pytest.mark.parametrize("seed", [2, 3, 111])
def test_whatever_happens_nothing_is_lost_and_what_runs_twice_was_told(seed: int) -> None:
    """Crashes, stalls, duplicates, lost answers, refused renewals."""
    report = World(seed=seed, weather=STORM, messages=MESSAGES).run()
    check_promises(report, MESSAGES)
    check_all_in_all(report)
    check_receives(report)
    check_deletes(report)
    # The day was as bad as it was meant to be.
    assert report.crashes > 10
    assert report.stalls > 10
    assert len(report.losses) > 50
    assert any(len(runs) > 1 for runs in report.began.values())


def test_a_renewal_that_is_refused_beside_the_ack_is_told() -> None:
    """One in five is refused, and somebody else receives the message at once: nothing else happens."""
    report = World(seed=37, weather=Weather(given_back=0.02, refused=0.2), messages=3000).run()
    check_promises(report, 3000)
    assert len(report.losses) > 1000


def test_a_backlog_of_short_tasks_shares_requests() -> None:
    """Slots come free, and acks come, many in the 50 ms that they wait for each other."""
    report = World(seed=3, weather=CALM, messages=MESSAGES, seconds=(0.1,), within=1.0).run()
    check_promises(report, MESSAGES)
    check_receives(report)
    check_deletes(report)
    assert report.calls["receive"] < MESSAGES / 3
    assert report.calls["delete"] < MESSAGES / 5


def test_short_tasks_cost_no_renewal() -> None:
    """What is settled within half a lease is never renewed."""
    report = World(seed=5, weather=CALM, messages=1000, seconds=(0.1, 1.0, 3.0)).run()
    check_promises(report, 1000)
    assert report.calls["renew"] == 0


def test_the_same_seed_is_the_same_day() -> None:
    """A failure can be looked at again."""
    first, second = (World(seed=7, weather=STORM, messages=300).run() for _ in range(2))
    assert first == second
