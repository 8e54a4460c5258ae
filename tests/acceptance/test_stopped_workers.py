"""A worker that stands still for longer than its leases, and goes on."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Site

pytestmark = pytest.mark.acceptance
EMULATORS = ("ministack", "moto")


def test_what_a_stopped_worker_held_runs_elsewhere_and_its_ack_does_no_harm(short_leases: Site) -> None:
    """The loss is logged and told to the hook; the second worker's run and ack are the ones that count."""
    site = short_leases
    site.environment["BROKER_URL"] += "&on_lease_lost=app:note_lost"
    with site.worker("first") as first:
        site.ask("work.delay('task', 4).id")
        site.wait_for_notes(lambda notes: "begin task first@test" in notes)
        first.send(signal.SIGSTOP)
        try:
            with site.worker("second") as second:
                site.wait_for_notes(lambda notes: "begin task second@test" in notes)
                first.send(signal.SIGCONT)
                site.wait_for_notes(lambda notes: "end task second@test" in notes and "lost late" in notes)
                first.wait_for("lost the lease of message")
                assert second.process.poll() is None
        finally:
            first.send(signal.SIGCONT)
        assert first.process.poll() is None
        assert site.ask("add.delay(1, 1).get(timeout=30)") == 2
    assert sum(note.startswith("begin task") for note in site.notes) == 2
    assert site.messages("celery") == 0


def test_what_came_for_a_stopped_worker_is_not_run_by_it_when_it_goes_on(short_leases: Site) -> None:
    """Its long poll was open: SQS gave it messages, which it reads when their leases have ended."""
    site = short_leases
    url = site.environment["BROKER_URL"].replace("wait_time_seconds=2", "wait_time_seconds=10")
    site.environment["BROKER_URL"] = f"{url}&shutdown_timeout=1"
    with site.worker("first") as first:
        assert site.ask("add.delay(1, 1).get(timeout=30)") == 2
        first.send(signal.SIGSTOP)
        try:
            site.ask("[work.delay(f'm{n}', 0).id for n in range(4)]")
            with site.worker("second"):
                site.wait_for_notes(lambda notes: sum(note.startswith("end") for note in notes) == 4)
        finally:
            first.send(signal.SIGCONT)
        assert site.ask("add.delay(2, 2).get(timeout=30)") == 4
    assert sorted(note for note in site.notes if note.startswith("begin")) == [
        f"begin m{n} second@test" for n in range(4)
    ]
    assert site.messages("celery") == 0
