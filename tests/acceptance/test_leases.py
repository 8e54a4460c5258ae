"""A worker keeps what it works on, however long it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .workers import EVENTLET, GEVENT

if TYPE_CHECKING:
    from .conftest import Site

pytestmark = pytest.mark.acceptance
EMULATORS = ("ministack", "moto")


@pytest.mark.parametrize(
    ("pool", "app", "task"),
    [(pool, "app", "work.delay('long', 7).id") for pool in ("prefork", "solo", "threads")]
    # Of gevent's pool more is asked: no greenlet runs beside this task.
    + [pytest.param("gevent", "stubborn_app", "stubborn.delay(7).id", marks=GEVENT.marks)]
    + [pytest.param("eventlet", "app", "work.delay('long', 7).id", marks=EVENTLET.marks)],
)
def test_a_task_longer_than_its_lease_runs_once(short_leases: Site, pool: str, app: str, task: str) -> None:
    """Seven seconds of work under leases of four, late acks, and a second worker with nothing else to do."""
    site = short_leases
    first, second = (site.worker(name, pool, app=app) for name in ("w1", "w2"))
    with first, second:
        site.ask(task, app=app)
        site.wait_for_notes(lambda notes: any(note.startswith("end") for note in notes))
    assert [note.split()[0] for note in site.notes] == ["begin", "end"]
