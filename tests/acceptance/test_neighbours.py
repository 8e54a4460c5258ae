"""Workers that know of each other: mingle, gossip and elections, and what a worker remembers through a restart."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from .conftest import HERE, Site

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kombu_sns_sqs.local import LocalService

pytestmark = pytest.mark.acceptance

APP = "gossiping_app"
PAIR = ["g1@test", "g2@test"]


@pytest.fixture(scope="module")
def pair(service: LocalService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with two workers that mingle and gossip, and send no events of tasks."""
    site = Site(service, tmp_path_factory.mktemp("pair"))
    with site.worker("g1", "solo", app=APP), site.worker("g2", "solo", app=APP):
        yield site


def test_a_worker_learns_what_was_revoked_before_it_came_and_keeps_it_in_its_state_db(pair: Site) -> None:
    """From the others, by mingle; what it knows it knows after a restart too, without asking anybody.

    It scales its pool by itself, within what it is told, and ends with status 0 when it is told to.
    """
    assert len(pair.ask("app.control.revoke('gone', reply=True, limit=2, timeout=20)", app=APP)) == 2
    late = ["late@test"]
    own = ("--statedb", str(pair.folder / "state"), "--autoscale", "3,1")
    for _ in range(3):  # Celery gives the others a second, which may be short on a machine that is busy with tests.
        with pair.worker("late", "prefork", *own, app=APP) as worker:
            learned = pair.ask(f"known_as_revoked('gone', {late})", app=APP)
            scaled = pair.ask(f"app.control.autoscale(5, 2, destination={late}, reply=True, timeout=20)", app=APP)
            assert scaled == [{"late@test": {"ok": "autoscale now max=5 min=2"}}]
            processes = f"app.control.inspect({late}, timeout=20).stats()['late@test']['pool']['processes']"
            assert pair.ask(f"until(lambda: len({processes}) >= 2)", app=APP)
            pair.ask(f"app.control.shutdown(destination={late})", app=APP)
            assert worker.wait() == 0
        if learned:
            break
    assert learned == late
    with pair.worker("late", "prefork", "--without-mingle", *own, app=APP):
        assert pair.ask(f"known_as_revoked('gone', {late})", app=APP) == late


def test_an_election_has_one_winner(pair: Site) -> None:
    """The task that was to be sent is sent once, each time."""
    marks = [pair.ask(f"elect('{mark}')", app=APP) for mark in ("first", "second", "third")]
    notes = pair.wait_for_notes(lambda notes: all(f"elected {mark}" in notes for mark in marks))
    time.sleep(1)
    assert sorted(pair.notes) == sorted(f"elected {mark}" for mark in marks), notes


def test_events_of_tasks_are_switched_on_and_off(pair: Site) -> None:
    """By remote control, in workers that were started without."""
    words = ["enable_events", "enable_events", "disable_events", "disable_events"]
    orders = ", ".join(f"app.control.{word}(reply=True, limit=2, timeout=20)" for word in words)
    answers = pair.ask(f"[{orders}]", app=APP)
    said = [{node: one["ok"] for answer in both for node, one in answer.items()} for both in answers]
    expected = ["enabled", "already enabled", "disabled", "already disabled"]
    assert said == [dict.fromkeys(PAIR, f"task events {word}") for word in expected]


def test_celery_multi_starts_workers_and_waits_for_their_end(site: Site, tmp_path: Path) -> None:
    """Both answer under the names it gives them, and leave nothing but the lasting queue."""
    arguments = ["2", "-A", "app", "-P", "solo", "-l", "INFO"]
    files = [f"--pidfile={tmp_path}/%n.pid", f"--logfile={tmp_path}/%n%I.log"]

    def multi(*words: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "celery", "multi", *words, *arguments, *files],
            cwd=HERE,
            env={**site.environment, "C_FORCE_ROOT": "1"},
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    try:
        multi("start")
        names = "[node.partition('@')[0] for node in nodes(limit=2)]"
        assert site.ask(f"until(lambda: {names} == ['celery1', 'celery2'])", app="control_client")
        assert site.ask("add.delay(1, 2).get(timeout=40)") == 3
        multi("stopwait")
        assert site.queues == ["celery"]
        assert site.subscribed == ["celery"]
    finally:
        for pid in tmp_path.glob("*.pid"):
            with suppress(ProcessLookupError, ValueError):
                os.kill(int(pid.read_text()), signal.SIGKILL)
