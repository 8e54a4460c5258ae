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
#: The modules of those who call.
CLIENT = "control_client"
CHANGES = "control_changes"


def test_celery_has_no_command_that_is_not_tried_here(team: Site) -> None:
    """One that comes with a release of Celery fails here first; `shutdown` has a test of its own."""
    known = team.ask("[[sorted(INSPECTS), commands('inspect')], [sorted(CONTROLS), commands('control')]]", app=CLIENT)
    (inspects, in_celery), (controls, control_in_celery) = known
    assert inspects == in_celery
    assert sorted([*controls, "shutdown"]) == control_in_celery


def test_every_command_of_inspect_is_answered_by_both(team: Site) -> None:
    """By the methods of `app.control.inspect()`, one after the other, in the default second."""
    answers = team.ask("ask_by_api()", app=CLIENT)
    assert {name: who for name, who in answers.items() if who != BOTH} == {}
    assert len(answers) > 10


def test_every_command_of_inspect_is_answered_on_the_command_line(team: Site) -> None:
    """`celery -A app inspect COMMAND --json`: exit status 0, and both answers."""
    answers = team.ask("ask_by_command_line('inspect', INSPECTS)", app=CLIENT)
    assert {name: said for name, said in answers.items() if said[0] or sorted(said[1]) != BOTH} == {}
    assert answers["ping"][1] == {"w1@test": {"ok": "pong"}, "w2@test": {"ok": "pong"}}
    queues = answers["active_queues"][1]["w1@test"]
    assert "celery" in [queue["name"] for queue in queues]


def test_every_command_of_control_is_carried_out_by_both_on_the_command_line(team: Site) -> None:
    """`celery -A app control COMMAND`; those that these workers cannot carry out say why."""
    answers = team.ask("ask_by_command_line('control', CONTROLS)", app=CLIENT)
    assert {name: said for name, said in answers.items() if said[0] or sorted(said[1]) != BOTH} == {}
    failed = {name for name, (_, said) in answers.items() if any("error" in (one or ()) for one in said.values())}
    assert failed == {"autoscale", "election"}
    assert "Autoscale not enabled" in str(answers["autoscale"])
    # The pools have been restarted.
    assert team.ask("[add.delay(n, n).get(timeout=60) for n in range(4)]") == [0, 2, 4, 6]


def test_several_callers_are_answered_at_once_in_the_default_second(team: Site) -> None:
    """Threads of a process that has just begun, with nothing but defaults."""
    assert team.ask("at_once(nodes, 5)", app=CLIENT) == [BOTH] * 5


def test_the_command_line_is_answered_in_its_default_second(team: Site) -> None:
    """As a user types it, with no option: who is online, a ping, and a command that changes something."""
    lines = {
        "status": "2 nodes online",
        "inspect ping": "2 nodes online",
        "control rate_limit app.trace 100/m": "new rate limit set successfully",
    }
    programs = {
        line: subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "app", *line.split()],
            cwd=HERE,
            env=team.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for line in lines
    }
    for line, program in programs.items():
        output, _ = program.communicate(timeout=60)
        assert program.returncode == 0, output
        assert lines[line] in output
        assert all(f"{node}: OK" in output for node in BOTH), output
    limits = team.ask("list(app.control.inspect(limit=2).registered('rate_limit').values())")
    assert ["app.trace [rate_limit=100/m]" in one for one in limits] == [True, True]


def test_workers_are_chosen_by_pattern_and_answers_by_number(team: Site) -> None:
    """`pattern` with the matchers kombu has, `limit` and `destination`, none of which waits for the timeout."""
    calls = {
        "nodes(pattern='w*@test', matcher='glob', limit=2, timeout=600)": BOTH,
        "nodes(pattern='*2@*', matcher='glob', limit=1, timeout=600)": ["w2@test"],
        "nodes(pattern='^w[13]@', matcher='pcre', limit=1, timeout=600)": ["w1@test"],
        "nodes(pattern='w9*', matcher='glob')": [],
        "len(nodes(limit=1, timeout=600))": 1,
        "nodes(destination=['w2@test'], timeout=600)": ["w2@test"],
    }
    assert team.ask(f"[{', '.join(calls)}]", app=CLIENT) == list(calls.values())
    limited = team.ask("limit_by_pattern('*1@*', 'app.fail')", app=CHANGES)
    assert limited == {"w1@test": True, "w2@test": False}


def test_a_late_answer_is_nobodys(team: Site) -> None:
    """It is there before the next call, and does not count for it, which waits for as many as it has asked workers."""
    assert team.ask("[after_late_answers() for _ in range(4)]", app=CLIENT) == [BOTH] * 4


def test_an_answer_that_is_too_large_disturbs_no_later_call(team: Site) -> None:
    """It cannot be sent, which the worker's log says; its mailbox goes on."""
    assert team.ask("app.control.inspect(['w1@test'], timeout=2)._request('flood') or None") is None
    assert any("MessageTooLarge" in log.read_text() for log in team.folder.glob("w1-*.log"))
    assert team.ask("nodes(destination=['w1@test', 'w2@test'], timeout=20)", app=CLIENT) == BOTH


def test_consumers_are_added_and_cancelled_by_remote_control(team: Site) -> None:
    """Messages published before the consumer came are there when it does; one that comes after it has gone stays."""
    assert team.ask("consume_for_a_while('late')", app=CHANGES) == [3, 5]
    assert team.ready("late") == 1


def test_what_a_command_changes_is_changed(team: Site) -> None:
    """The size of the pool, a moment later, and the limits of a task."""
    assert team.ask("[resize(4), resize(2)]", app=CHANGES) == [True, True]
    limits = team.ask("limit('app.when')", app=CHANGES)
    assert ["app.when [rate_limit=77/s soft_time_limit=30.0 time_limit=60.0]" in one for one in limits] == [True, True]


def test_the_word_of_a_revoke_comes_in_the_default_second(team: Site) -> None:
    """Though Celery looks for a result of the task first, on the worker's event loop."""
    answers = team.ask("[app.control.revoke(f'nobody-{n}', reply=True) for n in range(2)]")
    assert [sorted(node for one in answer for node in one) for answer in answers] == [BOTH] * 2


def test_tasks_that_run_are_terminated(team: Site) -> None:
    """By their id, and by a stamp, which also keeps those that come later from running."""
    assert team.ask("revoke_running('by-id')", app=CHANGES) == "TaskRevokedError"
    assert team.ask("revoke_stamped('by-stamp')", app=CHANGES) == ["TaskRevokedError", "TaskRevokedError"]
    assert not any(note.startswith(("end by-id", "end by-stamp")) for note in team.notes)


def test_revoked_tasks_do_not_run(team: Site) -> None:
    """They wait for their countdown when they are revoked, together; the workers remember, and drop them then."""
    assert team.ask("revoke_waiting(['revoked', 'revoked too'])", app=CHANGES) == ["TaskRevokedError"] * 2
    assert not any("revoked" in note for note in team.notes)


def test_a_broadcast_task_runs_in_every_worker(team: Site) -> None:
    """Once in each."""
    team.ask("announce.delay('hello').id")
    notes = team.wait_for_notes(lambda notes: sum("heard hello" in note for note in notes) >= 2)
    assert sorted(note.split()[2] for note in notes if "heard hello" in note) == BOTH


def test_beat_in_a_process_of_its_own_sends_what_is_due(team: Site) -> None:
    """`celery beat`, ended as a service manager does."""
    with (team.folder / "beat.log").open("w") as log:
        beat = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "app", "beat", "-s", str(team.folder / "schedule")],
            cwd=HERE,
            env={**team.environment, "C_FORCE_ROOT": "1"},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        team.wait_for_notes(lambda notes: "tick" in notes)
        beat.send_signal(signal.SIGTERM)
        assert beat.wait(20) == 0
    finally:
        beat.kill()


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


def test_a_receiver_captures_events(team: Site) -> None:
    """`app.events.Receiver`, fed by the worker that runs the task, and by both when they are told to show a sign."""
    assert team.ask("capture_events()", app=CLIENT) == {"results": ["10"], "heartbeats": BOTH}


def test_a_worker_shuts_down_when_it_is_told_to(site: Site) -> None:
    """With exit status 0, and the command is not obeyed again by the worker that comes after it."""
    with site.worker() as worker:
        site.ask("app.control.shutdown()")
        assert worker.wait() == 0
    with site.worker() as worker:
        assert site.ask("app.control.inspect().ping()") == {"w1@test": {"ok": "pong"}}
        assert worker.process.poll() is None
