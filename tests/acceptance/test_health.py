"""Workers that tell whether they are alive, to probes over HTTP and by a file."""

from __future__ import annotations

import os
import signal
import socket
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest

from .conftest import Site
from .workers import PATIENCE, Worker

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kombu_sns_sqs.local import LocalService

pytestmark = pytest.mark.acceptance


class Probed:
    """A worker that is asked how it does.

    Args:
        site: where it works; its polls take three seconds at most.
        pool: its pool.
        seconds: for how long silence is borne.
    """

    def __init__(self, site: Site, pool: str, seconds: float = 5) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.address = "{}:{}".format(*free.getsockname())
        self.file = site.folder / "w1.alive"
        health = {"HEALTH": str(site.folder), "HEALTH_ADDRESS": self.address, "HEALTH_SECONDS": f"{seconds}"}
        self.worker: Worker = site.worker("w1", pool, "--without-heartbeat", app="healthy_app", **health)

    def get(self, path: str) -> int:
        """Ask over HTTP; 0: nobody answers."""
        try:
            with urllib.request.urlopen(f"http://{self.address}/{path}", timeout=20) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def until(self, live: int, ready: int, *, file: bool) -> None:
        """Wait until this is what it says."""
        wait_until(lambda: (self.get("livez"), self.get("readyz"), self.file.exists()) == (live, ready, file))


def wait_until(done: Callable[[], object]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.1)


@pytest.fixture
def brief(service: LocalService, tmp_path: Path) -> Site:
    """A site whose requests wait for a second, beside the two of a poll."""
    return Site(service, tmp_path, "read_timeout=1&connect_timeout=1&shutdown_timeout=2")


def test_a_worker_is_ill_while_sqs_is_out_of_reach_and_well_again_after(service: LocalService, brief: Site) -> None:
    """Idle it is well. When it stops it takes nothing, but is alive until its tasks have ended."""
    probed = Probed(brief, "prefork")
    with probed.worker as worker:
        probed.until(200, 200, file=True)
        os.kill(service.pid, signal.SIGSTOP)
        try:
            probed.until(503, 503, file=False)
        finally:
            os.kill(service.pid, signal.SIGCONT)
        worker.wait_for("the worker is not healthy, for some 5 s: queue ")
        probed.until(200, 200, file=True)
        worker.wait_for("the worker is healthy again")
        brief.ask("[late.delay(f'm{n}').id for n in range(5)]", app="gated_app")
        brief.wait_for_notes(lambda notes: len(notes) == 2)
        worker.send(signal.SIGTERM)
        wait_until(lambda: not probed.file.exists())
        wait_until(lambda: probed.get("readyz") == 503)
        assert probed.get("livez") == 200
        # What it had and will not run is there for others before its tasks have ended.
        wait_until(lambda: brief.ready("celery") == 3)
        assert probed.get("livez") == 200
        brief.open_gate()
        assert worker.wait() == 0
    assert sorted(note.split()[0] for note in brief.notes) == ["begin", "begin", "end", "end"]
    assert not probed.file.exists()


def test_a_worker_is_well_while_a_task_runs_for_long(brief: Site) -> None:
    """In the solo pool it neither polls nor turns its loop meanwhile, for longer than silence is borne."""
    probed = Probed(brief, "solo", seconds=4)
    with probed.worker as worker:
        probed.until(200, 200, file=True)
        brief.ask("late.delay('task').id", app="gated_app")
        brief.wait_for_notes(lambda notes: len(notes) == 1)
        long = time.monotonic() + 5.5
        while time.monotonic() < long:
            assert (probed.get("livez"), probed.get("readyz"), probed.file.exists()) == (200, 200, True)
            time.sleep(0.2)
        worker.kill()
    assert "not healthy" not in worker.output


def test_a_worker_whose_health_cannot_be_told_does_not_start(brief: Site) -> None:
    """It would be restarted for ever, or another one's answer be taken for its own."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "{}:{}".format(*taken.getsockname())
        taken_address = {"HEALTH": str(brief.folder), "HEALTH_ADDRESS": address}
        worker = brief.worker("w1", "solo", app="healthy_app", **taken_address)
        impatient = brief.worker("w2", "solo", app="healthy_app", **taken_address, HEALTH_SECONDS="3")
        try:
            assert worker.wait() != 0
            assert impatient.wait() != 0
        finally:
            worker.kill()
            impatient.kill()
    assert "cannot be bound: [Errno" in worker.output
    assert "HealthProbe(seconds=3): a poll may take 3 s" in impatient.output
