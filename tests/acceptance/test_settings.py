"""Workers of an app whose settings contradict each other."""

from __future__ import annotations

import pytest

from .conftest import Site
from .workers import Worker

pytestmark = pytest.mark.acceptance


def test_a_worker_warns_of_each_contradiction_and_starts(site: Site) -> None:
    """And says nothing where it is not asked to check."""
    workers = {
        checks: site.worker(checks, "solo", "--without-heartbeat", app="contradictory_app", CHECKS=checks)
        for checks in ("yes", "no")
    }
    try:
        for worker in workers.values():
            worker.wait_for("ready.")
    finally:
        for worker in workers.values():
            worker.kill()
    assert warnings(workers["yes"]) == [
        "task_reject_on_worker_lost",
        "broker_transport_options['visibility_timeout']",
        "broker_connection_retry",
    ]
    assert warnings(workers["no"]) == []


def warnings(worker: Worker) -> list[str]:
    """What each warning of a worker begins with."""
    lines = [line for line in worker.output.splitlines() if "WARNING/" in line]
    return [line.partition("] ")[2].partition(": ")[0] for line in lines]
