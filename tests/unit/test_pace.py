"""How often, and for how much, one SQS queue is asked."""

from __future__ import annotations

from kombu_sns_sqs.receiving.pace import MAX_POLLS, Pace


def after(*answers: tuple[int, int]) -> Pace:
    """A queue that was asked for so many, and gave so many."""
    pace = Pace()
    for asked, got in answers:
        pace.answered(asked=asked, got=got, at=0.0)
    return pace


def test_polls_double_while_answers_are_full() -> None:
    """Up to a limit."""
    assert [after(*[(10, 10)] * times).want for times in range(5)] == [1, 2, 4, 8, MAX_POLLS]


def test_polls_halve_when_an_answer_is_not_full_and_fall_to_one_when_it_is_empty() -> None:
    """One open poll is what an idle queue has."""
    assert after(*[(10, 10)] * 3, (10, 4)).want == 4
    assert after(*[(10, 10)] * 3, (10, 0)).want == 1


def test_a_queue_that_gave_all_it_was_asked_for_is_asked_for_twice_as_much() -> None:
    """It may have more; one that gave less is asked for what it gave, one that gave nothing for a share."""
    assert [after((1, 1)).ask, after((1, 1), (2, 2)).ask, after((8, 8)).ask] == [2, 4, 10]
    assert [after((10, 3)).ask, after((10, 0)).ask] == [3, 0]


def test_a_queue_that_gave_the_one_message_there_was_a_slot_for_is_asked_for_as_much_as_before() -> None:
    """Little was free: that says nothing of its backlog."""
    assert after((10, 10), (1, 1)).ask == 10


def test_the_time_of_waiting_begins_with_the_first_refusal() -> None:
    """And ends with a poll, or when only an ack can help."""
    pace = Pace()
    pace.wait_for_slots(1.0, 1.5)
    pace.wait_for_slots(1.2, 1.5)
    assert (pace.waiting_since, pace.next_try()) == (1.0, 1.5)
    pace.wait_for_slots(1.3, None)
    assert (pace.waiting_since, pace.next_try()) == (None, None)
    pace.wait_for_slots(1.4, 1.9)
    pace.polls()
    assert (pace.waiting_since, pace.next_try()) == (None, None)


def test_a_failed_queue_is_asked_again_when_its_pause_is_over() -> None:
    """With one poll; and an answer ends it."""
    pace = after((10, 10))
    pace.failed(until=9.0)
    assert (pace.want, pace.next_try()) == (1, 9.0)
    pace.answered(asked=10, got=0, at=9.5)
    assert pace.next_try() is None
    assert (pace.failures, pace.answered_at) == (0, 9.5)


def test_a_failed_queue_that_finds_no_slot_after_its_pause_waits_for_an_ack() -> None:
    """To look again and again would keep the event loop busy for as long as the window is full."""
    pace = Pace()
    pace.polls()
    pace.in_flight -= 1
    pace.failed(until=9.0)
    pace.wait_for_slots(9.0, None)
    assert pace.next_try() is None
