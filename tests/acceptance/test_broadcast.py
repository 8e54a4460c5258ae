"""Broadcast: a task for every worker, while workers come and go."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from .conftest import HERE

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Site

pytestmark = pytest.mark.acceptance

APP = "broadcast_app"


def heard(site: Site, name: str) -> Counter[str]:
    """What a worker has heard, and how often."""
    return Counter(note.split()[0] for note in site.notes if note.endswith(f" {name}@test"))


def until(true: Callable[[], object], timeout: float = 60) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_who_is_ready_hears_all_and_who_has_left_leaves_nothing(site: Site) -> None:
    """Under load: one worker stays, others join and leave, of different pools; each hears each number once."""

    def published() -> int:
        try:
            return int((site.folder / "published").read_text())
        except FileNotFoundError:
            return 0

    code = f"from broadcast_app import *; print(publish_until_told({str(site.folder)!r}))"
    with site.worker("stays", "solo", "--without-heartbeat", app=APP):
        lasting = site.queues, site.subscribed
        client = subprocess.Popen([sys.executable, "-c", code], cwd=HERE, env=site.environment, stdout=subprocess.PIPE)
        try:
            for name, pool in [("solo", "solo"), ("prefork", "prefork")]:
                with site.worker(name, pool, "--without-heartbeat", app=APP):
                    # One that is on its way now may have been sent before the worker was ready.
                    first = published() + 2
                    until(lambda first=first: published() >= first + 30)
                    wanted = {str(number) for number in range(first, published() + 1)}
                    until(lambda name=name, wanted=wanted: wanted <= heard(site, name).keys())
                assert (site.queues, site.subscribed) == lasting
                assert set(heard(site, name).values()) == {1}
            (site.folder / "stop").touch()
            output, _ = client.communicate(timeout=60)
        finally:
            client.kill()
        wanted = Counter(str(number) for number in range(1, json.loads(output) + 1))
        until(lambda: heard(site, "stays").keys() >= wanted.keys())
        assert heard(site, "stays") == wanted
    assert site.queues == ["one-for-all", "plain"]
    assert site.subscribed == ["one-for-all", "plain"]


def test_broadcast_queues_of_every_kind_of_name(site: Site) -> None:
    """A name of Celery's making, one made unique, and one that workers share; and a result of a task for all."""
    both = ["b1@test", "b2@test"]
    with site.worker("b1", "solo", app=APP), site.worker("b2", "solo", app=APP):
        expression = "[tell(exchange, exchange).get(timeout=40) for exchange in ('everyone', 'named', 'shared')]"
        assert site.ask(expression, app=APP) == ["everyone", "named", "shared"]
        notes = site.wait_for_notes(lambda notes: len(notes) >= 5)
    by_exchange = {
        exchange: sorted(note.split()[1] for note in notes if note.startswith(exchange))
        for exchange in ("everyone", "named", "shared")
    }
    assert by_exchange["everyone"] == by_exchange["named"] == both
    assert len(by_exchange["shared"]) == 1
    assert site.queues == ["one-for-all", "plain"]
