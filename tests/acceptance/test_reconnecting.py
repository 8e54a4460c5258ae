"""Celery's own ways with a broker that is lost: at the start, while tasks run, and for good."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

import pytest

from .conftest import Site
from .workers import GREEN, together

if TYPE_CHECKING:
    from pathlib import Path

    from kombu_sns_sqs.local import LocalService

pytestmark = pytest.mark.acceptance


@pytest.fixture
def brief(service: LocalService, tmp_path: Path) -> Site:
    """A site whose requests wait for a second."""
    return Site(service, tmp_path, "read_timeout=1&connect_timeout=1&shutdown_timeout=2")


def count(site: Site, what: str) -> int:
    """How many notes begin so."""
    return sum(note.startswith(what) for note in site.notes)


def test_a_service_that_goes_away_and_comes_back_is_no_lost_connection(service: LocalService, brief: Site) -> None:
    """What runs goes on and is acked after; even a worker that is to end with its connection goes on."""
    site = brief
    site.environment["SETTINGS"] = json.dumps({"broker_connection_retry": False})
    with site.worker("w1", "prefork", "--without-heartbeat", app="lossy_app") as worker:
        site.ask("late.delay('task').id", app="gated_app")
        site.wait_for_notes(lambda notes: notes == ["begin task"])
        os.kill(service.pid, signal.SIGSTOP)
        try:
            worker.wait_for("cannot receive from queue 'celery'")
            site.open_gate()
            site.wait_for_notes(lambda notes: notes == ["begin task", "end task"])
        finally:
            os.kill(service.pid, signal.SIGCONT)
        assert site.ask("add.delay(1, 1).get(timeout=30)") == 2
        site.wait_until(lambda: site.messages("celery") == 0, lambda: "the ack is not carried out")
    assert site.notes == ["begin task", "end task"]
    assert "Connection to broker lost" not in worker.output


def test_an_error_that_reaches_celery_costs_no_task_and_doubles_none(site: Site) -> None:
    """What runs is acked after, what waited comes back; with the option for it, what runs late is cancelled instead."""
    lost = "app.control.broadcast('lose_connection', arguments={{'cancel': {}}}, reply=False)"
    with site.worker("w1", "prefork", app="lossy_app", PREFETCH="2") as worker:
        site.ask("[late.delay(f'a{n}').id for n in range(4)]", app="gated_app")
        site.wait_for_notes(lambda notes: len(notes) == 2)
        site.ask(lost.format(False))
        worker.wait_for("Connection to broker lost")
        site.open_gate()
        site.wait_for_notes(lambda _: count(site, "end a") == 4)
        assert count(site, "begin a") == 4
        site.ask("[late.delay('late', 'second').id, early.delay('early', 'second').id]", app="gated_app")
        site.wait_for_notes(lambda _: count(site, "begin late") == count(site, "begin early") == 1)
        site.ask(lost.format(True))
        worker.wait_for("Terminating it instead.")
        site.open_gate("second")
        site.wait_for_notes(lambda _: count(site, "end late") == count(site, "end early") == 1)
        worker.send(signal.SIGTERM)
        assert worker.wait() == 0
    assert (count(site, "begin late"), count(site, "begin early")) == (2, 1)
    assert site.messages("celery") == 0


def test_what_becomes_of_a_worker_after_an_error_is_as_celery_is_set(service: LocalService, brief: Site) -> None:
    """The service is silent then: the one tries until it is back, the other so often as it may, the third not at all.

    Those that go on, of processes and of greenlets, have run each task once in the end.
    """
    site = brief
    idle = ("-Q", "idle")
    pools = {"w1": "prefork", "w2": GREEN}
    persistent = [site.worker(name, pool, app="lossy_app", PREFETCH="1") for name, pool in pools.items()]
    limited = site.worker("w3", "solo", *idle, app="lossy_app", SETTINGS='{"broker_connection_max_retries": 1}')
    resigned = site.worker("w4", "solo", *idle, app="lossy_app", SETTINGS='{"broker_connection_retry": false}')
    everyone = [*persistent, limited, resigned]
    with together(*everyone):
        site.ask("[late.delay(f'a{n}').id for n in range(4)]", app="gated_app")
        site.wait_for_notes(lambda _: count(site, "begin a") == 4)
        told = "app.control.broadcast('lose_connection', {'gate': 'lose'}, reply=True, limit=4, timeout=20)"
        assert len(site.ask(told)) == 4
        os.kill(service.pid, signal.SIGSTOP)
        try:
            site.open_gate("lose")
            for worker in persistent:
                worker.wait_for("Trying again in")
            site.open_gate()
            site.wait_for_notes(lambda _: count(site, "end a") == 4)
            assert limited.wait() != 0
            assert resigned.wait() != 0
        finally:
            os.kill(service.pid, signal.SIGCONT)
        for worker in persistent:
            site.wait_until(lambda worker=worker: worker.output.count("Connected to") > 1, lambda: "not connected")
        assert site.ask("[add.delay(n, n).get(timeout=30) for n in range(4)]") == [0, 2, 4, 6]
        site.wait_until(lambda: site.messages("celery") == 0, lambda: "acks are not carried out")
    assert count(site, "begin a") == 4
    assert "(1/1)" in limited.output
    assert "has been disabled (app.conf.broker_connection_retry=False)" in resigned.output
    assert all("Connection to broker lost" in worker.output for worker in persistent)


def test_a_refused_declaration_ends_a_worker_unless_it_is_to_try_again(site: Site) -> None:
    """By `broker_channel_error_retry`; what is missing is not made with `topology=validate`."""
    site.environment["BROKER_URL"] += "&topology=validate"
    ends, tries = (
        site.worker(name, "solo", app="lossy_app", SETTINGS=json.dumps({"broker_channel_error_retry": retry}))
        for name, retry in (("ends", False), ("tries", True))
    )
    try:
        assert ends.wait() != 0
        assert "NOT_FOUND - no exchange 'celery'" in ends.output
        site.wait_until(lambda: tries.output.count("NOT_FOUND - no exchange 'celery'") > 1, lambda: tries.output)
    finally:
        ends.kill()
        tries.kill()


def test_a_worker_that_is_to_give_up_does(site: Site) -> None:
    """When it starts and nobody answers, after so many attempts or at once."""
    site.environment["BROKER_URL"] = "sns-sqs://k:s@127.0.0.1:1"
    patience: dict[str, dict[str, object]] = {
        "(1/1)": {"broker_connection_max_retries": 1},
        "has been disabled (app.conf.broker_connection_retry_on_startup=False)": {
            "broker_connection_retry_on_startup": False
        },
    }
    workers = {
        says: site.worker(f"w{number}", "solo", app="lossy_app", SETTINGS=json.dumps(settings))
        for number, (says, settings) in enumerate(patience.items())
    }
    try:
        for says, worker in workers.items():
            assert worker.wait() != 0
            assert says in worker.output
    finally:
        for worker in workers.values():
            worker.kill()
