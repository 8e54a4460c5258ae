"""ETA and countdown with real workers: kept by SQS, and by nobody's memory."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from kombu_sns_sqs.local import LocalService

    from .conftest import Site

pytestmark = pytest.mark.acceptance

#: How many tasks are scheduled, and by which worker.
SCHEDULED = "[len(tasks) for tasks in app.control.inspect().scheduled().values()]"
IN_SQS = "__import__('kombu_sns_sqs').scheduled(app.connection_for_read(), 'celery')"


@pytest.mark.parametrize("pool", ["prefork", "solo"])
def test_a_countdown_is_kept_by_sqs_and_survives_the_worker(site: Site, pool: str) -> None:
    """No worker has it while it waits, one is killed, the next one runs it: not early, and not late."""
    with site.worker("w1", pool) as first:
        publish = "work.apply_async(('waited', 0), countdown=12).id"
        sent, _, scheduled, in_sqs = site.ask(f"[time.time(), {publish}, {SCHEDULED}, {IN_SQS}]")
        assert (scheduled, in_sqs) == ([0], 1)
        first.kill()
    with site.worker("w2", pool):
        site.wait_for_notes(lambda notes: any("end waited" in note for note in notes))
        assert 12 <= time.time() - sent <= 20
        assert site.ask(IN_SQS) == 0
    assert [note.split()[:2] for note in site.notes] == [["begin", "waited"], ["end", "waited"]]


def test_a_countdown_is_punctual(team: Site) -> None:
    """By the clock of the one who publishes, to that of the task."""
    for seconds in (1, 3):
        late = team.ask(f"[time.time(), when.apply_async(countdown={seconds}).get(timeout=30)]")
        assert seconds <= late[1] - late[0] <= seconds + 2


def test_a_retry_waits_in_sqs_too(team: Site) -> None:
    """A task that is tried again in three seconds takes no slot meanwhile, and has the id it had."""
    assert team.ask("patient.delay().get(timeout=30)") >= 3


def test_a_task_that_has_expired_when_it_is_due_does_not_run(team: Site) -> None:
    """Celery sees to it, as ever."""
    expression = (
        "(lambda r: r.get(timeout=30, propagate=False).__class__.__name__)"
        "(work.apply_async(('expired', 0), countdown=3, expires=2))"
    )
    assert team.ask(expression) == "TaskRevokedError"


def test_a_broadcast_task_waits_for_every_worker(team: Site) -> None:
    """It comes through SNS, which delays nothing: each worker puts it back, and has it again in time."""
    began = time.time()
    team.ask("announce.apply_async(('later',), countdown=6).id")
    assert team.ask(SCHEDULED) == [0, 0]
    notes = team.wait_for_notes(lambda notes: sum("heard later" in note for note in notes) >= 2)
    assert time.time() - began >= 6
    assert sorted(note.split()[2] for note in notes if "heard later" in note) == ["w1@test", "w2@test"]


def test_without_the_option_a_worker_keeps_them(service: object, site: Site) -> None:
    """As on other brokers: it says what it has, and when it is gone, another one has it."""
    site.environment["BROKER_URL"] += "&eta_by_sqs=0"
    with site.worker("w1", "prefork"):
        site.ask("work.apply_async(('held', 0), countdown=60).id")
        assert any(site.ask(SCHEDULED) == [1] for _ in range(10))
        assert site.ask(IN_SQS) == 0


def test_thousands_that_are_scheduled_do_not_hinder_a_busy_queue(site: Site, service: LocalService) -> None:
    """They are in a companion, and neither in the worker nor in its way: work is done as it is without them.

    On moto, which takes its time for each, they are hundreds.
    """
    number = 400 if service.emulator == "moto" else 2000
    site.ask("app.amqp.queues['celery'](app.connection_for_write().default_channel).declare()")
    site.ask(
        f"len([add.apply_async((1, 1), countdown=3600, ignore_result=True) for _ in range({number})])", timeout=300
    )
    with site.worker("w1", "prefork"):
        assert site.ask("sum(r.get(timeout=60) for r in [add.delay(1, 1) for _ in range(100)])", timeout=120) == 200
        assert site.ask(SCHEDULED) == [0]
        assert site.ask(IN_SQS) == number
