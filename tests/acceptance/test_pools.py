"""What a worker does whatever its pool."""

from __future__ import annotations

import os
import re
import signal
from typing import TYPE_CHECKING

import pytest

from kombu_sns_sqs.local import LocalService

from .conftest import Site
from .workers import POOLS

if TYPE_CHECKING:
    from pathlib import Path

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


def test_a_pool_of_somebody_elses_runs_tasks(site: Site) -> None:
    """Which hands results and late acks back from a thread of its own, and ends what it has begun."""
    with site.worker(pool="custom", CELERY_CUSTOM_WORKER_POOL="custom_pool:OneThread") as worker:
        assert site.ask("[add.delay(n, n).get(timeout=30) for n in range(5)]") == [0, 2, 4, 6, 8]
        site.ask("[work.delay(f'm{n}', 0.2).id for n in range(3)]")
        site.wait_for_notes(lambda notes: len(notes) > 1)
        worker.send(signal.SIGTERM)
        assert worker.wait() == 0
    begun, ended = ([note for note in site.notes if note.startswith(word)] for word in ("begin", "end"))
    assert len(begun) == len(ended) == len(set(ended))
    assert site.messages("celery") == 3 - len(ended)


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


def test_no_key_is_ever_shown(tmp_path: Path) -> None:
    """Not in a log of the level DEBUG, not to whoever asks the worker, not by the app's own report; no part of a key.

    On moto, which takes any key for a good one.
    """
    key, secret = "AKIAIOSFODNN7EXAMPLE", "SECRETwJalrXUtnFEMI/K7MDENGbPxRfiCY"
    with LocalService.start(emulator="moto") as service:
        site = Site(service, tmp_path)
        url = site.environment["BROKER_URL"]
        site.environment["BROKER_URL"] = re.sub("//.*@", f"//{key}:{secret}@", url)
        with site.worker("w1", "prefork", "-l", "DEBUG") as worker:
            stats = site.ask("app.control.inspect().stats()")
            report = site.ask("app.control.inspect().report()")
            assert site.ask("add.delay(1, 1).get(timeout=30)") == 2
            assert stats
            assert report
    assert "Making request for OperationModel(name=GetQueueUrl)" in worker.output
    told = str(stats) + str(report) + worker.output
    assert [part for part in (key, *secret.split("/"), "Signature=") if part in told] == []
