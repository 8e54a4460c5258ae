"""How many messages a worker takes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from .workers import POOLS

if TYPE_CHECKING:
    from .conftest import Site

pytestmark = pytest.mark.acceptance


@pytest.mark.parametrize("pool", POOLS)
def test_without_prefetch_a_worker_takes_what_it_has_a_free_slot_for(site: Site, pool: str) -> None:
    """Acked early and with a prefetch count of eight: the rest stays in the queue, for others to take."""
    slots = 1 if pool == "solo" else 2
    with site.worker("w1", pool, "--disable-prefetch", "-X", "everyone", app="on_demand_app") as worker:
        site.ask("[early.delay(f'm{n}').id for n in range(4)]", app="on_demand_app")
        site.wait_for_notes(lambda notes: len(notes) == slots)
        until = time.monotonic() + 0.7
        while time.monotonic() < until:
            assert site.ready("celery") == 4 - slots
            time.sleep(0.1)
        site.open_gate()
        site.wait_for_notes(lambda notes: sum(note.startswith("end") for note in notes) == 4)
        assert "only supported for Redis" not in worker.output
