"""Tasks that do not end well end where their queue says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Site

pytestmark = pytest.mark.acceptance


@pytest.mark.parametrize("pool", ["prefork", "solo"])
def test_a_rejected_task_is_in_the_dead_letter_queue_with_its_history(site: Site, pool: str) -> None:
    """Why, out of which queue, through which exchange and with which key."""
    with site.worker("w1", pool, "-Q", "refusing", app="failing_app"):
        site.ask("refuse.apply_async(exchange='orders', routing_key='orders.new').id", app="failing_app")
        assert site.ask("letter('bad')", app="failing_app") == {
            "task": "failing_app.refuse",
            "count": 1,
            "reason": "rejected",
            "queue": "refusing",
            "exchange": "orders",
            "routing-keys": ["orders.new"],
        }


def test_a_task_that_kills_its_worker_runs_as_often_as_its_queue_allows(short_leases: Site) -> None:
    """Two workers die of it; the third finds that it has been tried often enough."""
    site = short_leases
    for _ in range(2):
        with site.worker("w1", "solo", "-Q", "killing", app="failing_app") as worker:
            if not site.notes:
                site.ask("kill_the_worker.delay().id", app="failing_app")
            worker.wait()
    with site.worker("w1", "solo", "-Q", "killing", app="failing_app"):
        letter = site.ask("letter('killing-dead')", app="failing_app")
    assert (letter["task"], letter["reason"]) == ("failing_app.kill_the_worker", "delivery_limit")
    assert site.notes == ["killed", "killed"]
