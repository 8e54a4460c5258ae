"""Remote control, events and Broadcast, with two workers and Celery's defaults."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from .conftest import HERE

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Site

pytestmark = pytest.mark.acceptance

BOTH = ["w1@test", "w2@test"]


@pytest.mark.parametrize("command", ["ping", "active", "active_queues", "registered", "reserved", "scheduled", "stats"])
def test_inspect_is_answered_by_both_in_its_default_second(team: Site, command: str) -> None:
    """Each command of `inspect`, from a process that has just begun."""
    assert sorted(team.ask(f"list(app.control.inspect().{command}())")) == BOTH


def test_twenty_pings_in_a_row_are_answered_by_both(team: Site) -> None:
    """On one reply queue, made once."""
    answers = team.ask("[sorted(app.control.inspect(timeout=0.5).ping() or {}) for _ in range(20)]")
    assert answers == [BOTH] * 20


def test_a_destination_is_asked_alone(team: Site) -> None:
    """And the caller waits no longer than for its answer."""
    began = time.monotonic()
    assert team.ask("app.control.ping(destination=['w2@test'], timeout=20)") == [{"w2@test": {"ok": "pong"}}]
    assert time.monotonic() - began < 15


def test_consumers_are_added_and_cancelled_by_remote_control(team: Site) -> None:
    """Messages published before the consumer came are there when it does."""
    team.ask("app.control.add_consumer('late', reply=True)")
    assert team.ask("add.apply_async((1, 2), queue='late').get(timeout=30)") == 3
    assert len(team.ask("app.control.cancel_consumer('late', reply=True)")) == 2
    assert all("late" not in str(queues) for queues in team.ask("app.control.inspect().active_queues()").values())


def test_the_pool_grows_and_a_rate_is_limited(team: Site) -> None:
    """Commands that change a worker."""
    assert team.ask("app.control.rate_limit('app.when', '100/s', reply=True)")
    assert team.ask("app.control.pool_grow(1, reply=True)")
    # The pool says that it will grow, and does so a moment later.
    sizes = "[len(s['pool']['processes']) for s in app.control.inspect().stats().values()]"
    assert any(team.ask(sizes) == [3, 3] for _ in range(10))


def test_a_revoked_task_does_not_run(team: Site) -> None:
    """It waits for its countdown when it is revoked; the workers remember, and drop it when it comes."""
    expression = (
        "(lambda r: (time.sleep(0.5), r.revoke(), r.get(timeout=30, propagate=False).__class__.__name__)[2])"
        "(work.apply_async(('revoked', 0), countdown=3))"
    )
    assert team.ask(expression) == "TaskRevokedError"
    assert not any("revoked" in note for note in team.notes)


def test_a_broadcast_task_runs_in_every_worker(team: Site) -> None:
    """Once in each."""
    team.ask("announce.delay('hello').id")
    notes = team.wait_for_notes(lambda notes: sum("heard hello" in note for note in notes) >= 2)
    assert sorted(note.split()[2] for note in notes if "heard hello" in note) == BOTH


def test_celery_events_sees_both_workers(team: Site, tmp_path: Path) -> None:
    """`celery events --dump` as its users run it, ended with Ctrl-C, leaving nothing behind."""
    before = team.queues
    dump = tmp_path / "dump"
    with dump.open("w") as output:
        events = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "app", "events", "--dump"],
            cwd=HERE,
            env={**team.environment, "PYTHONUNBUFFERED": "1"},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + 30
        while not set(re.findall(r"(w\d@test) \[.*heartbeat", dump.read_text())) >= set(BOTH):
            assert time.monotonic() < deadline, dump.read_text()
            time.sleep(0.1)
    finally:
        events.send_signal(signal.SIGINT)
        assert events.wait(20) == 0
    assert team.queues == before


def test_a_receiver_captures_task_events(team: Site) -> None:
    """`app.events.Receiver` in a process of its own, fed by the worker that runs the task."""
    code = (
        "def capture():\n"
        "    seen = []\n"
        "    with app.connection_for_read() as connection:\n"
        "        receiver = app.events.Receiver(connection, {'task-succeeded': lambda event: ("
        "seen.append(event['result']), setattr(receiver, 'should_stop', True))})\n"
        "        receiver.queue(connection.default_channel).declare()\n"
        "        add.delay(5, 5)\n"
        "        receiver.capture(limit=None, timeout=20, wakeup=False)\n"
        "    return seen\n"
    )
    assert team.ask(f"(exec({code!r}, globals()), capture())[1]") == ["10"]


def test_a_worker_shuts_down_when_it_is_told_to(site: Site) -> None:
    """With exit status 0, and the command is not obeyed again by the worker that comes after it."""
    with site.worker() as worker:
        site.ask("app.control.shutdown()")
        assert worker.wait() == 0
    with site.worker() as worker:
        assert site.ask("app.control.inspect().ping()") == {"w1@test": {"ok": "pong"}}
        assert worker.process.poll() is None
