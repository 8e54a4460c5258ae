"""Workers that know of each other: mingle, gossip and elections, and what a worker remembers through a restart."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from .conftest import HERE, Site
from .workers import together

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kombu_sns_sqs.local import LocalService

pytestmark = pytest.mark.acceptance

APP = "gossiping_app"
TRIO = ["g1@test", "g2@test", "g3@test"]


@pytest.fixture(scope="module")
def trio(service: LocalService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with three workers that mingle and gossip, and send no events of tasks."""
    site = Site(service, tmp_path_factory.mktemp("trio"))
    with together(*(site.worker(node.partition("@")[0], "solo", app=APP) for node in TRIO)):
        yield site


def test_a_worker_learns_what_was_revoked_before_it_came_and_keeps_it_in_its_state_db(trio: Site) -> None:
    """From the others, by mingle; what it knows it knows after a restart too, without asking anybody.

    It scales its pool by itself, within what it is told, and ends with status 0 when it is told to. What is sent while
    it is away, and was revoked before, it does not run.
    """
    assert len(trio.ask("app.control.revoke('gone', reply=True, limit=3, timeout=20)", app=APP)) == 3
    late = ["late@test"]
    own = ("-Q", "late", "--statedb", str(trio.folder / "state"), "--autoscale", "3,1")
    with trio.worker("late", "prefork", *own, app=APP) as worker:
        assert re.search(r"mingle: sync with \d nodes", worker.output), worker.output
        assert trio.ask(f"known_as_revoked('gone', {late})", app=APP) == late
        scaled = trio.ask(f"app.control.autoscale(5, 2, destination={late}, reply=True, timeout=20)", app=APP)
        assert scaled == [{"late@test": {"ok": "autoscale now max=5 min=2"}}]
        processes = f"app.control.inspect({late}, timeout=20).stats()['late@test']['pool']['processes']"
        assert trio.ask(f"until(lambda: len({processes}) >= 2)", app=APP)
        trio.ask(f"app.control.shutdown(destination={late})", app=APP)
        assert worker.wait() == 0
    trio.ask("[elected.apply_async((id,), task_id=id, queue='late').id for id in ('gone', 'not gone')]", app=APP)
    with trio.worker("late", "prefork", "--without-mingle", *own, app=APP) as worker:
        trio.wait_for_notes(lambda notes: "elected not gone" in notes)
        worker.wait_for("Discarding revoked task: gossiping_app.elected[gone]")
        assert trio.ask(f"known_as_revoked('gone', {late})", app=APP) == late
    assert "elected gone" not in trio.notes


def test_an_election_has_one_winner(trio: Site) -> None:
    """Each worker says who it is, and the task that was to be sent is sent once."""
    before = trio.notes
    logs = list(trio.folder.glob("g*.log"))
    assert len(logs) == len(TRIO)
    for mark in ("first", "second", "third"):
        trio.ask(f"elect('{mark}')", app=APP)

    def outcomes(mark: str) -> list[str]:
        told = re.compile(rf"(I won the election|node \S+ elected for) '{mark}'")
        return [said[1] for log in logs for said in told.finditer(log.read_text())]

    for mark in ("first", "second", "third"):
        trio.wait_until(lambda mark=mark: len(outcomes(mark)) == len(TRIO), lambda mark=mark: outcomes(mark))
        assert outcomes(mark).count("I won the election") == 1
    sent = [f"elected {mark}" for mark in ("first", "second", "third")]
    trio.wait_until(lambda: trio.messages("gossip") == 0 and {*sent} <= {*trio.notes}, lambda: trio.notes)
    assert sorted(trio.notes) == sorted([*before, *sent])


def test_events_of_tasks_are_switched_on_and_off(trio: Site) -> None:
    """By remote control, in workers that were started without."""
    words = ["enable_events", "enable_events", "disable_events", "disable_events"]
    orders = ", ".join(f"app.control.{word}(reply=True, limit=3, timeout=20)" for word in words)
    answers = trio.ask(f"[{orders}]", app=APP)
    said = [{node: one["ok"] for answer in all_of_them for node, one in answer.items()} for all_of_them in answers]
    expected = ["enabled", "already enabled", "disabled", "already disabled"]
    assert said == [dict.fromkeys(TRIO, f"task events {word}") for word in expected]


def test_celery_multi_starts_workers_again_and_waits_for_their_end(site: Site, tmp_path: Path) -> None:
    """Both answer under the names it gives them, anew after a restart, and leave nothing but the lasting queue."""
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
        first = site.ask("pids_of_two()", app="control_client")
        multi("restart")
        second, result = site.ask("[pids_of_two(), add.delay(1, 2).get(timeout=40)]", app="control_client")
        assert first.keys() == second.keys() == {"celery1", "celery2"}
        assert not {*first.values()} & {*second.values()}
        assert result == 3
        multi("stopwait")
        assert site.queues == ["celery"]
        assert site.subscribed == ["celery"]
    finally:
        for pid in tmp_path.glob("*.pid"):
            with suppress(ProcessLookupError, ValueError):
                os.kill(int(pid.read_text()), signal.SIGKILL)
