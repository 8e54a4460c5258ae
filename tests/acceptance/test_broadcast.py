"""Broadcast: a task for every worker, while workers come and go."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from .conftest import HERE
from .workers import GREEN, PATIENCE, together

if TYPE_CHECKING:
    from .conftest import Site
    from .workers import Worker

pytestmark = pytest.mark.acceptance

APP = "broadcast_app"
#: What stays when no worker is left: a plain queue, and the Broadcast queue that workers share.
LASTING = ["one-for-all", "plain"]


def heard(site: Site, name: str) -> Counter[str]:
    """What a worker has heard, and how often."""
    return Counter(note.split()[0] for note in site.notes if note.endswith(f" {name}@test"))


def test_who_is_ready_hears_all_and_who_has_left_leaves_nothing(site: Site) -> None:
    """Under load: one worker stays, two join while one leaves, of several pools; each hears each number once."""

    def published() -> int:
        try:
            return int((site.folder / "published").read_text())
        except FileNotFoundError:
            return 0

    def worker(name: str, pool: str) -> Worker:
        return site.worker(name, pool, "--without-heartbeat", app=APP)

    def hear_all(*names: str) -> None:
        # One that is on its way now may have been sent before a worker was ready.
        first = published() + 2
        site.wait_until(lambda: published() >= first + 30, published, PATIENCE)
        wanted = {str(number) for number in range(first, published() + 1)}
        for name in names:
            site.wait_until(lambda name=name: wanted <= heard(site, name).keys(), lambda name=name: name, PATIENCE)

    code = f"from broadcast_app import *; print(publish_until_told({str(site.folder)!r}))"
    with worker("stays", "solo"):
        lasting = site.queues, site.subscribed
        client = subprocess.Popen([sys.executable, "-c", code], cwd=HERE, env=site.environment, stdout=subprocess.PIPE)
        try:
            with worker("leaves", "solo") as leaves:
                hear_all("leaves")
                comers = [worker("processes", "prefork"), worker("green", GREEN)]
                leaves.tell_to_stop()
                with together(*comers):
                    hear_all("processes", "green")
                assert leaves.wait() == 0
            assert (site.queues, site.subscribed) == lasting
            for name in ("leaves", "processes", "green"):
                assert {*heard(site, name).values()} == {1}
            (site.folder / "stop").touch()
            output, _ = client.communicate(timeout=60)
        finally:
            client.kill()
        wanted = Counter(str(number) for number in range(1, json.loads(output) + 1))
        site.wait_until(lambda: heard(site, "stays").keys() >= wanted.keys(), lambda: heard(site, "stays"))
        assert heard(site, "stays") == wanted
    assert site.queues == LASTING
    assert site.subscribed == LASTING


def test_broadcast_queues_of_every_kind_of_name(site: Site) -> None:
    """A name of Celery's making, one made unique, one that workers share, one that each has; and a result for all."""
    both = ["b1@test", "b2@test"]
    kinds = ("everyone", "named", "own", "shared")
    with together(site.worker("b1", "solo", app=APP), site.worker("b2", "solo", app=APP)):
        expression = f"[tell(exchange, exchange).get(timeout=40) for exchange in {kinds}]"
        assert site.ask(expression, app=APP) == [*kinds]
        notes = site.wait_for_notes(lambda notes: len(notes) >= 7)
    by_exchange = {
        exchange: sorted(note.split()[1] for note in notes if note.startswith(exchange)) for exchange in kinds
    }
    assert by_exchange["everyone"] == by_exchange["named"] == by_exchange["own"] == both
    assert len(by_exchange["shared"]) == 1
    assert site.queues == LASTING
