"""How old an answer is, by AWS's own stamp."""

from __future__ import annotations

import math

from hypothesis import example, given
from hypothesis import strategies as st

from kombu_sns_sqs.receiving.answer_age import AnswerAge, Poll

#: AWS's time less ours.
AHEAD = 1_000_000.0
#: What an answer may be taken to be older than it is: a second that its stamp lacks, one that another does, and for how
#: long the fastest answer was under way.
SHORT = 2.0


def poll(asked_at: float, *, lease: float = 60.0) -> Poll:
    """A long poll."""
    return Poll(asked_at=asked_at, wait_seconds=20, lease_seconds=lease)


def test_an_answer_read_at_once_is_new() -> None:
    """However long the poll was open, and to the two seconds that AWS's stamps are good for."""
    ages = AnswerAge()
    ages.given_out_at(poll(0), AHEAD + 20, empty=True, now=20.1)
    for now in (40.0, 60.5, 80.9):
        given_out_at = ages.given_out_at(poll(now - 20), math.floor(AHEAD + now), empty=False, now=now)
        assert now - SHORT - 0.2 < given_out_at <= now


def test_an_answer_that_lay_about_is_never_taken_to_be_younger_than_it_is() -> None:
    """Stamps lack up to a second: the one it is compared with, too. Its lease of ten seconds has ended."""
    ages = AnswerAge()
    ages.given_out_at(poll(0), AHEAD + 20, empty=True, now=20.9)
    given_out_at = ages.given_out_at(poll(25), AHEAD + 30, empty=False, now=40.05)
    assert 30 - SHORT < given_out_at <= 30


def test_a_first_answer_that_was_read_late_may_be_as_old_as_its_poll() -> None:
    """There is nothing to compare it with."""
    ages = AnswerAge()
    assert ages.given_out_at(poll(0), AHEAD + 1, empty=False, now=30) == 0
    assert 299 <= ages.given_out_at(poll(300), AHEAD + 301, empty=False, now=301) <= 301


def test_a_first_answer_that_was_read_in_time_may_be_new() -> None:
    """It is not taken to have lost half a lease; where leases are long, it may be as old as its poll."""
    assert AnswerAge().given_out_at(poll(0), AHEAD + 20, empty=False, now=20) == 0
    assert AnswerAge().given_out_at(poll(0, lease=4), AHEAD + 20, empty=False, now=20) == 18


def test_clocks_that_drift_apart_mislead_nobody() -> None:
    """Ours gains four seconds a day; after a month an answer that is read at once is new all the same."""
    ages, now, stamp = AnswerAge(), 0.0, AHEAD
    for _ in range(30 * 24 * 60):
        now += 60 * (1 + 4 / 86_400)
        stamp += 60
        ages.given_out_at(poll(now - 20), math.floor(stamp), empty=True, now=now)
    given_out_at = ages.given_out_at(poll(now - 20), math.floor(stamp), empty=False, now=now)
    assert now - SHORT - 0.1 < given_out_at <= now


def test_a_wall_clock_that_is_set_back_makes_no_answer_older_than_its_request() -> None:
    """An emulator stamps its answers by the clock of this machine. The next answer is compared with that one."""
    ages = AnswerAge()
    ages.given_out_at(poll(0), AHEAD, empty=False, now=0)
    assert ages.given_out_at(poll(10), AHEAD - 3600, empty=False, now=20) == 10
    ages.given_out_at(poll(20), AHEAD - 3580, empty=True, now=40)
    assert ages.given_out_at(poll(40), AHEAD - 3570, empty=False, now=50) > 47


def test_without_a_stamp_an_answer_may_be_as_old_as_its_poll() -> None:
    """Not every emulator has one."""
    ages = AnswerAge()
    assert ages.given_out_at(poll(0), None, empty=False, now=300) == 0
    assert ages.given_out_at(poll(290), None, empty=False, now=300) == 290
    assert ages.given_out_at(poll(290, lease=4), None, empty=False, now=300) == 298


def test_a_service_that_does_not_wait_before_it_says_empty_misleads_nobody() -> None:
    """Then the answer is no older than its request, and that is all that is known."""
    ages = AnswerAge()
    ages.given_out_at(poll(0), AHEAD, empty=True, now=0.5)
    assert 27.5 < ages.given_out_at(poll(10), AHEAD + 30, empty=False, now=30.5) <= 30


moments = st.floats(0, 60, allow_subnormal=False)
#: Of a poll: when it begins after the last, how long until it is answered, how long the answer lies about; and whether
#: it brings nothing.
polls = st.tuples(moments, st.floats(0, 20), moments, st.booleans())


#: Their half is as long as a poll can be open: what is read until then may be new, and is taken to be no older.
leases = st.floats(50, 600)


@given(offset=st.floats(-2e6, 2e6), drift=st.floats(-0.0005, 0.0005), lease=leases, rounds=st.lists(polls))
@example(offset=0.0, drift=0.0, lease=60.0, rounds=[(0.0, 0.0, 0.9, True), (4.1, 5.0, 10.05, False)])
@example(offset=0.0, drift=0.0005, lease=60.0, rounds=[(0.0, 0.0, 0.0, True), (4000.0, 5.0, 100.0, False)])
def test_nothing_is_taken_to_be_younger_than_it_is(
    offset: float, drift: float, lease: float, rounds: list[tuple[float, float, float, bool]]
) -> None:
    """Whatever the clocks, the polls, what lies about, and for how long; nor older than its request."""
    ages, asked_at = AnswerAge(), 0.0
    for pause, under_way, lying, empty in rounds:
        asked_at += pause
        made_at = asked_at + (20.0 if empty else under_way)
        now = made_at + lying
        stamp = math.floor(made_at * (1 + drift) + offset)
        given_out_at = ages.given_out_at(poll(asked_at, lease=lease), stamp, empty=empty, now=now)
        assert given_out_at <= made_at + 1e-6
        assert given_out_at >= asked_at or given_out_at >= now - lease / 2
        asked_at = now


@given(offset=st.floats(-2e6, 2e6), fast=st.floats(0, 0.5), lying=moments, phase=st.floats(0, 1))
def test_with_one_fast_answer_nothing_is_taken_to_be_more_than_two_seconds_older_than_it_is(
    offset: float, fast: float, lying: float, phase: float
) -> None:
    """And what that answer was under way: here 20 seconds of waiting for nothing, and the way back."""
    ages = AnswerAge()
    ages.given_out_at(poll(phase), math.floor(phase + 20 + offset), empty=True, now=phase + 20 + fast)
    made_at = phase + 40
    given_out_at = ages.given_out_at(poll(phase + 25), math.floor(made_at + offset), empty=False, now=made_at + lying)
    assert made_at - SHORT - 0.1 < given_out_at <= made_at + 1e-6


@given(offset=st.floats(-2e6, 2e6), lease=st.floats(2, 60), rounds=st.lists(polls, min_size=1))
@example(offset=0.0, lease=2.0, rounds=[(0.0, 0.0, 0.0, True), (1.9, 20.0, 0.0, False)])
def test_what_is_read_at_once_has_half_its_lease_left(
    offset: float, lease: float, rounds: list[tuple[float, float, float, bool]]
) -> None:
    """However short that is, and whatever lay about before: an ordinary answer is never taken to have lapsed."""
    ages, asked_at = AnswerAge(), 0.0
    for number, (pause, under_way, lying, empty) in enumerate(rounds, start=1):
        asked_at += pause
        made_at = asked_at + (20.0 if empty else under_way)
        now = made_at if number == len(rounds) else made_at + lying
        stamp = math.floor(made_at + offset)
        given_out_at = ages.given_out_at(poll(asked_at, lease=lease), stamp, empty=empty, now=now)
        asked_at = now
    assert given_out_at >= now - lease / 2 - 1e-6
