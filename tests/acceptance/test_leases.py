"""A worker keeps what it works on, however long it takes."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

from .workers import EVENTLET, GEVENT, together

if TYPE_CHECKING:
    from .conftest import Site

pytestmark = pytest.mark.acceptance
#: In seconds.
LEASE = 4


@pytest.mark.parametrize(
    ("pool", "app", "task"),
    [(pool, "app", "work.delay('long', 6).id") for pool in ("prefork", "solo", "threads")]
    # Of gevent's pool more is asked: no greenlet runs beside this task.
    + [pytest.param("gevent", "stubborn_app", "stubborn.delay(6).id", marks=GEVENT.marks)]
    + [pytest.param("eventlet", "app", "work.delay('long', 6).id", marks=EVENTLET.marks)],
)
def test_a_task_longer_than_its_lease_runs_once(short_leases: Site, pool: str, app: str, task: str) -> None:
    """Six seconds of work under leases of four, late acks, and a second worker with nothing else to do."""
    site = short_leases
    with together(*(site.worker(name, pool, app=app) for name in ("w1", "w2"))):
        site.ask(task, app=app)
        site.wait_for_notes(lambda notes: any(note.startswith("end") for note in notes))
    assert [note.split()[0] for note in site.notes] == ["begin", "end"]


def test_what_waits_for_its_rate_keeps_its_lease_and_runs_once(short_leases: Site) -> None:
    """One every two seconds in each of two workers, as remote control has set it: the last waits for six."""
    site = short_leases
    with together(*(site.worker(name, "threads", PREFETCH="2") for name in ("w1", "w2"))):
        assert len(site.ask("app.control.rate_limit('app.work', '30/m', reply=True, limit=2, timeout=20)")) == 2
        site.ask("[work.delay(f'm{n}', 0).id for n in range(8)]")
        site.wait_for_notes(bool)
        began = time.monotonic()
        site.wait_for_notes(lambda notes: sum(note.startswith("end") for note in notes) == 8)
        assert time.monotonic() - began > LEASE
        site.wait_until(lambda: site.messages("celery") == 0, lambda: site.notes)
    assert sorted(note.split()[1] for note in site.notes if note.startswith("begin")) == [f"m{n}" for n in range(8)]


def test_what_came_for_a_stopped_worker_is_not_run_by_it_when_it_goes_on(short_leases: Site) -> None:
    """Its long poll was open: SQS gave it messages, which it reads when their leases have ended."""
    site = short_leases
    url = site.environment["BROKER_URL"].replace("wait_time_seconds=2", "wait_time_seconds=10")
    site.environment["BROKER_URL"] = f"{url}&shutdown_timeout=1"
    with site.worker("first") as first:
        assert site.ask("add.delay(1, 1).get(timeout=30)") == 2
        first.send(signal.SIGSTOP)
        try:
            site.ask("[work.delay(f'm{n}', 0).id for n in range(4)]")
            with site.worker("second"):
                site.wait_for_notes(lambda notes: sum(note.startswith("end") for note in notes) == 4)
        finally:
            first.send(signal.SIGCONT)
        assert site.ask("add.delay(2, 2).get(timeout=30)") == 4
    assert sorted(note for note in site.notes if note.startswith("begin")) == [
        f"begin m{n} second@test" for n in range(4)
    ]
    assert site.messages("celery") == 0
