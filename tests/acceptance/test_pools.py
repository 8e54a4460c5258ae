"""What a worker does whatever its pool."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from .workers import GREEN, POOLS

if TYPE_CHECKING:
    from kombu_sns_sqs.local import LocalService

    from .conftest import Site

pytestmark = pytest.mark.acceptance


@pytest.mark.parametrize("pool", POOLS)
def test_a_worker_runs_tasks_of_every_kind(site: Site, pool: str) -> None:
    """Results over rpc://, a group, an exception, a retry with countdown, a countdown that is kept, a ping."""
    expected = {
        "[add.delay(n, n).get(timeout=30) for n in range(5)]": [0, 2, 4, 6, 8],
        "group(add.s(n, 1) for n in range(20)).apply_async().get(timeout=30)": [n + 1 for n in range(20)],
        "repr(fail.delay().get(timeout=30, propagate=False))": "ValueError('as it should')",
        "third_time_lucky.delay().get(timeout=30)": 2,
        "-time.time() + when.apply_async(countdown=2).get(timeout=30) >= 1.9": True,
        "app.control.inspect().ping()": {"w1@test": {"ok": "pong"}},
    }
    with site.worker(pool=pool):
        assert site.ask(f"[{', '.join(expected)}]") == list(expected.values())


@pytest.mark.parametrize("pool", POOLS)
def test_a_task_longer_than_its_lease_runs_once(short_leases: Site, pool: str) -> None:
    """Seven seconds of work under leases of four, late acks, and a second worker with nothing else to do."""
    site = short_leases
    first, second = site.worker("w1", pool), site.worker("w2", pool)
    with first, second:
        assert site.ask("work.delay('long', 7).get(timeout=40)") == "long"
    assert [note.split()[0] for note in site.notes] == ["begin", "end"]


@pytest.mark.parametrize("pool", GREEN[:1])
def test_a_task_that_stops_gevents_loop_keeps_its_lease(short_leases: Site, pool: str) -> None:
    """Leases are renewed by a thread of the operating system's: one task, begun once, for longer than its lease."""
    site = short_leases
    first, second = (site.worker(name, pool, app="stubborn_app") for name in ("w1", "w2"))
    with first, second:
        site.ask("stubborn.delay(7).id", app="stubborn_app")
        assert site.wait_for_notes(lambda notes: "end" in notes) == ["begin", "end"]
    assert site.notes == ["begin", "end"]


def test_the_engine_of_threads_serves_a_worker(site: Site) -> None:
    """Where pycurl does not import."""
    site.environment["KOMBU_SNS_SQS_ENGINE"] = "threads"
    with site.worker():
        assert site.ask("[add.delay(n, n).get(timeout=30) for n in range(5)]") == [0, 2, 4, 6, 8]
        assert site.ask("app.control.inspect().ping()") == {"w1@test": {"ok": "pong"}}


def test_children_of_the_pool_publish_for_themselves(site: Site) -> None:
    """Twenty tasks that each start another, from two processes forked off the one that consumes."""
    with site.worker():
        site.ask("[delegate.delay(f'm{n}') and n for n in range(20)]")
        notes = site.wait_for_notes(lambda notes: sum(note.startswith("end") for note in notes) >= 20)
    assert sorted(note.split()[1] for note in notes if note.startswith("end")) == sorted(f"m{n}" for n in range(20))


@pytest.mark.parametrize("pool", ["prefork", *GREEN])
def test_what_a_killed_worker_held_runs_elsewhere_within_a_lease(short_leases: Site, pool: str) -> None:
    """A kill -9 of the whole worker, in the middle of a task that acks late."""
    site = short_leases
    first = site.worker("first", pool)
    with first:
        site.ask("work.delay('task', 3).id")
        site.wait_for_notes(lambda notes: "begin task first@test" in notes)
        first.kill()
    with site.worker("second", pool):
        site.wait_for_notes(lambda notes: "end task second@test" in notes, timeout=20)
    assert "end task first@test" not in site.notes


@pytest.mark.parametrize("pool", ["prefork", *GREEN])
def test_a_warm_shutdown_finishes_what_runs_and_gives_back_the_rest(site: Site, pool: str) -> None:
    """Six tasks for two slots: what has begun is finished, the rest is there for the next worker, none runs twice."""
    first = site.worker("first", pool)
    with first:
        site.ask("[work.delay(f'm{n}', 2).id for n in range(6)]")
        site.wait_for_notes(lambda notes: sum(note.startswith("begin") for note in notes) == 2)
        first.send(signal.SIGTERM)
        assert first.wait() == 0
    begun, ended = ({note.split()[1] for note in site.notes if note.startswith(word)} for word in ("begin", "end"))
    # A green pool that is full blocks the consumer, which hands over one task more when a slot comes free.
    assert begun == ended
    assert 2 <= len(ended) <= (2 if pool == "prefork" else 4)
    assert site.ready("celery") == 6 - len(ended), "a lease is a minute, and nobody waits for it"
    with site.worker("second", pool):
        site.wait_for_notes(lambda notes: sum(note.startswith("end") for note in notes) == 6, timeout=20)
    marks = [note.split()[1] for note in site.notes if note.startswith("begin")]
    assert sorted(marks) == sorted(set(marks)), "a task ran twice"


def test_a_cold_shutdown_gives_back_what_runs_too(site: Site) -> None:
    """Late acks: all is there at once for the next worker, running or not."""
    with site.worker() as worker:
        site.ask("[work.delay(f'm{n}', 30).id for n in range(6)]")
        site.wait_for_notes(lambda notes: len(notes) == 2)
        worker.send(signal.SIGQUIT)
        worker.wait(20)
    assert site.ready("celery") == 6


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
    """Its new processes, forked off a worker in full use, run what waited, and publish."""
    with site.worker("w1", "prefork"):
        site.ask("[delegate.delay(f'a{n}') and n for n in range(4)]")
        answer = site.ask("app.control.pool_restart(destination=['w1@test'], reply=True, timeout=10)")
        assert answer == [{"w1@test": {"ok": "reload started"}}]
        site.ask("[delegate.delay(f'b{n}') and n for n in range(4)]")
        site.wait_for_notes(lambda notes: sum(note.startswith("end") for note in notes) >= 8)
    marks = sorted(note.split()[1] for note in site.notes if note.startswith("begin"))
    assert marks == [*(f"a{n}" for n in range(4)), *(f"b{n}" for n in range(4))]


def test_a_stopped_worker_leaves_its_lasting_queue_alone(site: Site) -> None:
    """Every temporary queue and subscription is gone, the worker's and its callers'."""
    with site.worker("w1", "prefork", "-E"):
        assert site.ask("app.control.inspect().ping()")
        assert site.ask("add.delay(1, 1).get(timeout=30)") == 2
        assert len(site.queues) > 1
    assert site.queues == ["celery"]
    assert site.subscribed == ["celery"]


def test_a_worker_restarted_under_its_name_answers_at_once(site: Site) -> None:
    """AWS bars the name of a deleted queue for a minute; a worker must not have to wait for it."""
    for _ in range(2):
        with site.worker():
            assert site.ask("app.control.inspect().ping()") == {"w1@test": {"ok": "pong"}}


def test_a_hostile_message_stops_no_worker(site: Site) -> None:
    """Texts that are no messages, envelopes that are broken, and a task after each of them."""
    mark = {"kombu": {"DataType": "String", "StringValue": "1"}}
    with site.worker(pool="solo") as worker:
        for body, attributes in [
            ("plain text", {}),
            ('{"Records": []}', {}),
            ('{"properties": 1}', {}),
            ('{"body": "x", "properties": {"delivery_info": null, "body_encoding": "?"}, "headers": null}', {}),
            ('{"body": "x", "properties": {"delivery_info": 7}}', {}),
            ("not an envelope", mark),
            ('{"body": 1, "headers": [], "properties": "x", "exchange": 0}', mark),
            ("[" * 50_000, mark),
        ]:
            site.send_raw("celery", body, attributes)
        assert site.ask("[add.delay(n, n).get(timeout=30) for n in range(3)]") == [0, 2, 4]
        assert worker.process.poll() is None


def test_a_worker_goes_on_when_the_service_does(service: LocalService, short_leases: Site) -> None:
    """The service stands still for longer than any request waits, and comes back.

    Without Celery's heartbeats: those block the event loop while they cannot be sent, on every broker.
    """
    site, pid = short_leases, service.pid
    assert pid is not None
    site.environment["BROKER_URL"] += "&read_timeout=1&connect_timeout=1"
    with site.worker("w1", "prefork", "--without-heartbeat", "--without-gossip") as worker:
        assert site.ask("add.delay(1, 1).get(timeout=30)") == 2
        os.kill(pid, signal.SIGSTOP)
        try:
            worker.wait_for("cannot receive from queue 'celery'")
        finally:
            os.kill(pid, signal.SIGCONT)
        assert site.ask("add.delay(2, 2).get(timeout=60)") == 4


def test_a_worker_that_finds_no_service_tries_until_it_is_there(service: LocalService, site: Site) -> None:
    """As Celery does with every broker."""
    pid = service.pid
    assert pid is not None
    site.environment["BROKER_URL"] += "&read_timeout=1&connect_timeout=1"
    os.kill(pid, signal.SIGSTOP)
    try:
        worker = site.worker("w1", "solo")
        worker.wait_for("Trying again in")
    finally:
        os.kill(pid, signal.SIGCONT)
    with worker:
        assert site.ask("add.delay(2, 2).get(timeout=30)") == 4


def test_no_key_is_ever_shown(site: Site) -> None:
    """Not in a log, not to whoever asks the worker, not by the app's own report."""
    secret = "SECRETwJalrXUtnFEMI/K7MDENG"
    site.environment["BROKER_URL"] = site.environment["BROKER_URL"].replace("test:test@", f"test:{secret}@")
    with site.worker("w1", "prefork", "-l", "DEBUG") as worker:
        stats = site.ask("app.control.inspect().stats()")
        report = site.ask("app.control.inspect().report()")
        assert site.ask("add.delay(1, 1).get(timeout=30)") == 2
        assert stats
        assert report
    assert "wJalrXUtnFEMI" not in str(stats) + str(report) + worker.output
