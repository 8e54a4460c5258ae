"""What a worker does whatever its pool."""

from __future__ import annotations

import os
import re
import signal
from typing import TYPE_CHECKING

import pytest

from kombu_sns_sqs.local import LocalService

from .conftest import Site
from .workers import POOLS, Worker

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.acceptance


#: What a worker says to `ask_one_by_all_means`, whatever its pool.
SAID = {
    "add_consumer": {"ok": "add consumer extra"},
    "cancel_consumer": {"ok": "no longer consuming from extra"},
    "enable_events": {"ok": "task events enabled"},
    "limited": True,
    "rate_limit": {"ok": "new rate limit set successfully"},
    "revoke": {"ok": "tasks {'nobody'} flagged as revoked"},
    "through it": 5,
}


def obeys(worker: Worker, site: Site) -> None:
    """Ask a worker by commands of several kinds."""
    told = site.ask(f"ask_one_by_all_means('{worker.name}')", app="control_client")
    assert told == {**SAID, "pid": worker.process.pid}


@pytest.mark.parametrize("pool", POOLS)
def test_a_worker_runs_tasks_of_every_kind(site: Site, pool: str) -> None:
    """Results over rpc://, a group, an exception, a retry with countdown, a countdown that is kept, remote control.

    It leaves its lasting queues alone: every temporary queue and subscription is gone, its own and its callers'.
    """
    expected = {
        "[add.delay(n, n).get(timeout=30) for n in range(5)]": [0, 2, 4, 6, 8],
        "group(add.s(n, 1) for n in range(20)).apply_async().get(timeout=30)": [n + 1 for n in range(20)],
        "repr(fail.delay().get(timeout=30, propagate=False))": "ValueError('as it should')",
        "third_time_lucky.delay().get(timeout=30)": 2,
        "-time.time() + when.apply_async(countdown=2).get(timeout=30) >= 1.9": True,
        "app.control.inspect(limit=1).ping()": {"w1@test": {"ok": "pong"}},
    }
    with site.worker(pool=pool) as worker:
        assert site.ask(f"[{', '.join(expected)}]") == list(expected.values())
        obeys(worker, site)
        assert len(site.queues) > 2
    assert site.queues == ["celery", "extra"]
    assert site.subscribed == ["celery", "extra"]


def test_a_pool_of_somebody_elses_runs_tasks(site: Site) -> None:
    """Which hands results and late acks back from a thread of its own, and ends what it has begun."""
    with site.worker(pool="custom", CELERY_CUSTOM_WORKER_POOL="custom_pool:OneThread") as worker:
        assert site.ask("[add.delay(n, n).get(timeout=30) for n in range(5)]") == [0, 2, 4, 6, 8]
        obeys(worker, site)
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
