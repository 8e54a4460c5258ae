"""A worker that stands still for longer than its leases, and goes on."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Site

pytestmark = pytest.mark.acceptance


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
