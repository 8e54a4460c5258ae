"""What killed processes leave is swept; what is in use, or not ours, stays. Seven minutes are eight seconds here."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

from .conftest import Site

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kombu_sns_sqs.local import LocalService

pytestmark = pytest.mark.acceptance

#: Twenty minutes, where seven are eight seconds; and what calls, and Python's start, take longer than is scaled.
TWENTY_MINUTES = 20 * 8 / 7
SLACK = 5.0


@pytest.fixture
def swept(service: LocalService, tmp_path: Path) -> Iterator[Site]:
    """A fresh name prefix whose processes give a sign of life every eight seconds."""
    return Site(service, tmp_path, "sweep_period=8")


def test_what_killed_workers_leave_is_swept_and_nothing_else(swept: Site) -> None:
    """Twenty-one of them; the worker that has the name of one is there at once, and obeys nothing that was for that.

    What stays: the queues of the new worker, that of a process that is idle and receives nothing, with what is in it, a
    queue that has the name of a temporary one and no tags, one whose maker gives no signs of life, and the
    subscription of a stranger's queue to the topic of the dead.
    """
    site = swept
    with site.light_processes(1, "caller"):
        (idle,) = site.queues
        site.send_raw(idle, "for the idle process")
        stays = [
            idle,
            site.make_queue("kombu-tmp-s44we8-owner123-tok0-looks-alike", {}),
            site.make_queue("kombu-tmp-s44we8-owner456-tok0-silent", {"kombu:owner": "owner456"}),
            site.make_queue("lasting", {"kombu:owner": "owner123", "kombu:sign": "0/8"}),
        ]
        with site.worker(pool="solo") as worker, site.light_processes(20, "worker") as light:
            site.subscribe("lasting", "celery.pidbox")
            worker.send(signal.SIGSTOP)
            site.ask("app.control.shutdown(destination=['w1@test'])")
            left = {name for name in site.queues if name.startswith("kombu-tmp-")} - set(stays)
            assert len(left) > 5 * 20
            assert len(left & set(site.subscribed)) > 3 * 20
            worker.kill()
            light.kill()
            killed_at = time.monotonic()
        with site.worker(pool="solo") as worker:
            assert site.ask("app.control.inspect().ping()") == {"w1@test": {"ok": "pong"}}
            in_use = set(site.queues) - left
            assert in_use >= set(stays)
            while left & set(site.queues):
                assert time.monotonic() < killed_at + TWENTY_MINUTES + SLACK, sorted(left & set(site.queues))
                time.sleep(0.2)
            assert set(site.queues) >= in_use
            # A queue that was swept and made again would be there, and empty.
            assert site.messages(idle) == 1
            assert left & set(site.subscribed) == set()
            assert "lasting" in site.subscribed
            assert site.ask("app.control.inspect().ping()") == {"w1@test": {"ok": "pong"}}
            assert worker.process.poll() is None
