"""How old an answer is, by AWS's own stamp."""

from __future__ import annotations

from kombu_sns_sqs.receiving.answer_age import AnswerAge

#: AWS's time less ours.
AHEAD = 1_000_000.0


def test_an_answer_read_at_once_is_new() -> None:
    """However long the poll was open, and to the second that AWS's stamps are good for."""
    ages = AnswerAge()
    for now, stamp in ((20.0, 20), (40.5, 40), (60.9, 60)):
        assert now - 1 < ages.given_out_at(AHEAD + stamp, asked_at=now - 20, now=now) <= now


def test_an_answer_that_lay_about_is_as_old_as_it_is() -> None:
    """A task has kept the event loop for a hundred seconds. It is not taken to be younger, once a stamp was right."""
    ages = AnswerAge()
    ages.given_out_at(AHEAD + 20, asked_at=0, now=20)
    given_out_at = ages.given_out_at(AHEAD + 30, asked_at=25, now=130.9)
    assert 29 < given_out_at <= 30.9


def test_the_first_answer_was_made_within_its_poll() -> None:
    """Nothing to compare it with: it was waiting for a message for 20 seconds at most."""
    ages = AnswerAge()
    assert ages.given_out_at(AHEAD + 1, asked_at=0, now=300) == 25
    assert ages.given_out_at(AHEAD + 301, asked_at=300, now=301) == 301


def test_clocks_that_drift_apart_mislead_nobody() -> None:
    """Ours gains four seconds a day; after a month an answer that is read at once is new all the same."""
    ages, now, stamp = AnswerAge(), 0.0, AHEAD
    for _ in range(30 * 24):
        now += 3600 * (1 + 4 / 86_400)
        stamp += 3600
        assert now - 1 < ages.given_out_at(stamp, asked_at=now - 20, now=now) <= now


def test_a_wall_clock_that_is_set_back_makes_no_answer_older_than_its_request() -> None:
    """An emulator stamps its answers by the clock of this machine."""
    ages = AnswerAge()
    ages.given_out_at(AHEAD, asked_at=0, now=0)
    assert ages.given_out_at(AHEAD - 3600, asked_at=10, now=20) == 10


def test_without_a_stamp_an_answer_is_new() -> None:
    """Not every emulator has one."""
    assert AnswerAge().given_out_at(None, asked_at=0, now=300) == 300
