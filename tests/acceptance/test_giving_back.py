"""What a worker held is there for the next one, however it ends; and a pool that changes loses and doubles nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from .conftest import HERE
from .workers import GEVENT

if TYPE_CHECKING:
    from .conftest import Site

pytestmark = pytest.mark.acceptance
#: In seconds: the lease of the site, its longest poll, and what a busy machine may take to begin a task.
LEASE, POLL, SLOW = 4, 2, 4


@pytest.mark.parametrize("pool", ["prefork", GEVENT])
def test_what_a_killed_worker_held_runs_elsewhere_within_a_lease(short_leases: Site, pool: str) -> None:
    """A kill -9 of the whole worker, in the middle of a task that acks late, beside a worker with nothing to do."""
    site = short_leases
    first = site.worker("first", pool)
    with first:
        site.ask("work.delay('task', 60).id")
        site.wait_for_notes(lambda notes: "begin task first@test" in notes)
        second = site.worker("second", pool)
        with second:
            killed_at = time.time()
            first.kill()
            assert site.notes == ["begin task first@test"]
            site.wait_for_notes(lambda notes: len(notes) > 1)
            # When the note was written, whenever it is read.
            after = site.notes_file.stat().st_mtime - killed_at
            second.kill()
    assert site.notes[1:] == ["begin task second@test"]
    assert after <= LEASE + POLL + SLOW


@pytest.mark.parametrize("pool", ["prefork", GEVENT])
def test_a_warm_shutdown_finishes_what_runs_and_gives_back_the_rest(site: Site, pool: str) -> None:
    """Six tasks for two slots: what has begun is finished, the rest is there for the next worker, none runs twice.

    And so are three of which there may be one an hour.
    """
    first = site.worker("first", pool, app="gated_app")
    with first:
        assert site.ask("app.control.rate_limit('app.tick', '1/h', reply=True, limit=1, timeout=20)")
        site.ask("[tick.delay().id for n in range(3)]")
        site.wait_for_notes(lambda notes: notes == ["tick"])
        site.wait_until(lambda: site.ready("celery") == 0, lambda: "not all have come")
        site.ask("[late.delay(f'm{n}').id for n in range(6)]", app="gated_app")
        site.wait_for_notes(lambda notes: sum(note.startswith("begin") for note in notes) == 2)
        first.send(signal.SIGTERM)
        first.wait_for("Warm shutdown")
        site.open_gate()
        assert first.wait() == 0
    begun, ended = ({note.split()[1] for note in site.notes if note.startswith(word)} for word in ("begin", "end"))
    # A green pool that is full blocks the consumer, which hands over one task more when a slot comes free.
    assert begun == ended
    assert 2 <= len(ended) <= (2 if pool == "prefork" else 4)
    assert site.ready("celery") == 6 - len(ended) + 2, "a lease is a minute, and nobody waits for it"
    with site.worker("second", pool, app="gated_app"):
        site.wait_for_notes(lambda notes: sum(note.startswith("end") for note in notes) == 6, timeout=20)
        site.wait_for_notes(lambda notes: notes.count("tick") == 3)
    marks = [note.split()[1] for note in site.notes if note.startswith("begin")]
    assert sorted(marks) == sorted(set(marks)), "a task ran twice"
    assert site.notes.count("tick") == 3


def test_a_cold_shutdown_gives_back_what_runs_too(site: Site) -> None:
    """Late acks: all is there at once for the next worker, running or not, or for who purges the queue."""
    with site.worker() as worker:
        site.ask("[work.delay(f'm{n}', 30).id for n in range(6)]")
        site.wait_for_notes(lambda notes: len(notes) == 2)
        worker.send(signal.SIGQUIT)
        worker.wait(20)
    assert site.ready("celery") == 6
    assert site.ask("[app.control.purge(), work.delay('m6', 0).id][0]") == 6
    purge = [sys.executable, "-m", "celery", "-A", "app", "purge", "-f"]
    done = subprocess.run(purge, cwd=HERE, env=site.environment, capture_output=True, text=True, timeout=60, check=True)
    assert "Purged 1 message" in done.stdout
    assert site.messages("celery") == 0


def test_a_pool_that_scales_itself_runs_each_task_once(site: Site) -> None:
    """Up to three processes and down to one again, each forked off a worker in full use, and beside them beat."""
    scale = ("--autoscale", "3,1", "-B", "-s", str(site.folder / "schedule"))
    with site.worker("w1", "prefork", *scale, AUTOSCALE_KEEPALIVE="1") as worker:
        site.ask("[work.delay(f'm{n}', 0.5).id for n in range(9)]")
        worker.wait_for("Scaling down")
        site.wait_for_notes(lambda notes: sum(note.startswith("end") for note in notes) == 9)
        site.wait_for_notes(lambda notes: notes.count("tick") > 1)
        worker.send(signal.SIGTERM)
        assert worker.wait() == 0
    assert "Scaling up" in worker.output
    begun = [note.split()[1] for note in site.notes if note.startswith("begin")]
    assert sorted(begun) == [f"m{n}" for n in range(9)]
    assert "Task handler raised error" not in worker.output


def test_a_restarted_pool_goes_on(site: Site) -> None:
    """Its new processes, forked off a worker in full use, run what waited, and publish; each task once.

    A limit of time that was set by remote control holds from then on, as Celery has it: a task that is acked late is
    acked when it has run into that, and does not run again.
    """
    alone = "destination=['w1@test'], reply=True, timeout=20"
    with site.worker("w1", "prefork"):
        assert site.ask(f"app.control.time_limit('app.work', hard=2, {alone})")
        site.ask("[delegate.delay(f'a{n}') and n for n in range(4)]")
        answer = site.ask(f"app.control.pool_restart({alone})")
        assert answer == [{"w1@test": {"ok": "reload started"}}]
        site.ask("[delegate.delay(f'b{n}') and n for n in range(4)]")
        site.wait_for_notes(lambda notes: sum(note.startswith("end") for note in notes) >= 8)
        limited = "type(work.delay('c0', 60).get(timeout=40, propagate=False)).__name__"
        assert site.ask(limited) == "TimeLimitExceeded"
        site.wait_until(lambda: site.messages("celery") == 0, lambda: site.notes)
    marks = sorted(note.split()[1] for note in site.notes if note.startswith("begin"))
    assert marks == [*(f"a{n}" for n in range(4)), *(f"b{n}" for n in range(4)), "c0"]
