"""Whether a worker is alive, by what looks at it find."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from celery_integration.pulse import LOOKS, Look, Pulse
from kombu_sns_sqs import Health, QueueHealth

#: An idle queue that SQS has answered, once.
QUEUE = QueueHealth(queue="q", polls=1, answered_at=10.0, failures=0, full=False)


def look(*, turned: bool = True, renewals_late: float = 0.0, queue: QueueHealth | None = None, **others: Any) -> Look:
    """A look at a worker that is connected."""
    queues = () if queue is None else (queue,)
    return Look(loop_turned=turned, health=Health(connected=True, queues=queues, renewals_late=renewals_late), **others)


def after(*looks: Look) -> Pulse:
    """What is known after some looks."""
    pulse = Pulse()
    for one in looks:
        pulse.take(one)
    return pulse


def answered(*moments: float) -> list[Look]:
    """Looks at a queue that had been answered last at these moments."""
    return [look(queue=replace(QUEUE, answered_at=moment)) for moment in moments]


def test_a_worker_that_turns_and_is_answered_is_ready() -> None:
    """Whatever the number of looks."""
    pulse = after(*answered(*range(50)))
    assert (pulse.complaints, pulse.ready) == ((), True)


def test_a_loop_that_stands_still_is_borne_for_some_looks() -> None:
    """And a turn makes up for all of them."""
    still = look(turned=False)
    assert after(*[still] * (LOOKS - 1)).complaints == ()
    assert after(*[still] * LOOKS).complaints == ("the main loop stands still",)
    assert not after(*[still] * LOOKS).ready
    assert after(*[still] * LOOKS, look()).complaints == ()


def test_a_loop_whose_thread_runs_a_task_may_stand_still_for_ever() -> None:
    """The solo pool: neither does it turn, nor are answers read; patience begins when the task has ended."""
    busy = look(turned=False, in_task=True, queue=QUEUE)
    pulse = after(*[busy] * 500, *[look(turned=False, queue=QUEUE)] * (LOOKS - 1))
    assert (pulse.complaints, pulse.ready) == ((), True)
    pulse.take(look(turned=False, queue=QUEUE))
    assert len(pulse.complaints) == 2


def test_a_queue_that_is_not_answered_is_told_by_its_name() -> None:
    """Be it that polls fail or that there are none; before the first answer, too; an answer makes up for it."""
    assert after(*answered(*[7.0] * (LOOKS + 1))).complaints == ("queue 'q' is not answered",)
    never = look(queue=replace(QUEUE, answered_at=None, polls=0))
    assert after(*[never] * LOOKS).complaints == ("queue 'q' is not answered",)
    assert after(*answered(*[7.0] * LOOKS, 8.0)).complaints == ()


def test_a_worker_that_has_no_place_for_a_message_need_not_be_answered() -> None:
    """Long tasks in all processes: it asks for nothing until one has ended."""
    full = look(queue=replace(QUEUE, full=True))
    assert after(*[full] * 500, *answered(*[10.0] * (LOOKS - 1))).complaints == ()


def test_a_late_thread_of_leases_is_illness_at_the_second_look() -> None:
    """Late by seconds is a busy machine; a first look may follow a suspension."""
    assert after(*[look(renewals_late=5.0)] * 50).complaints == ()
    assert after(look(renewals_late=60.0)).complaints == ()
    assert after(*[look(renewals_late=60.0)] * 2).complaints == ("the thread that renews leases stands still",)


def test_a_worker_that_finds_no_broker_is_not_ready_and_after_a_while_not_alive() -> None:
    """At its start, and after a connection error."""
    lost = Look(loop_turned=False, consuming=False)
    assert (after(lost).complaints, after(lost).ready) == ((), False)
    assert after(look(), *[lost] * LOOKS).complaints == ("the worker has no connection to its broker",)


def test_a_worker_that_stops_is_alive_for_as_long_as_leases_are_renewed() -> None:
    """It takes no message, and its loop may have ended, while tasks run to their end."""
    stopping = Look(loop_turned=False, consuming=False, stopping=True)
    pulse = after(*[stopping] * 500)
    assert (pulse.complaints, pulse.ready) == ((), False)
    ill = replace(stopping, health=Health(connected=True, renewals_late=60.0))
    assert after(*[ill] * 2).complaints == ("the thread that renews leases stands still",)


def test_a_process_that_stood_still_is_not_ill_when_it_goes_on() -> None:
    """However long that was: looks are counted, and the first one after it finds nothing new."""
    pulse = after(*answered(1, 2, 3))
    pulse.take(look(turned=False, queue=replace(QUEUE, answered_at=3)))
    assert pulse.complaints == ()
