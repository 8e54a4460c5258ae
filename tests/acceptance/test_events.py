"""What follows events, as its users run it: Celery's own monitors, and an exporter from PyPI."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from typing import TYPE_CHECKING

import pyte
import pytest

from .conftest import HERE, Site
from .workers import GREEN, PATIENCE, together

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from typing_extensions import Self

    from kombu_sns_sqs.local import LocalService

pytestmark = pytest.mark.acceptance


@pytest.fixture(scope="module")
def pair(service: LocalService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with a worker of processes and one of greenlets, or of threads where gevent does not import."""
    site = Site(service, tmp_path_factory.mktemp("pair"))
    with together(site.worker("w1", "prefork", "-E"), site.worker("w2", GREEN, "-E")):
        yield site


class Monitor:
    """A program that follows events, and what it has written."""

    def __init__(self, site: Site, *command: str, log: Path, **environment: str) -> None:
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                cwd=HERE,
                env={**site.environment, "PYTHONUNBUFFERED": "1", **environment},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def output(self) -> str:
        """What it has written so far."""
        return self.log.read_text(errors="replace")

    def wait_for(self, holds: Callable[[str], object], ask: Callable[[], object] = bool) -> None:
        """Wait until its output shows something, asking for it again and again."""
        deadline = time.monotonic() + PATIENCE
        while not holds(self.output):
            assert self.process.poll() is None, self.output[-3000:]
            assert time.monotonic() < deadline, self.output[-3000:]
            ask()
            time.sleep(0.1)

    def wait(self) -> int:
        """Wait for its end and return the exit status."""
        return self.process.wait(PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        with contextlib.suppress(OSError):
            self.process.stdin.close()  # type: ignore[union-attr]


def test_the_screen_shows_workers_and_tasks_and_ends_with_ctrl_c(pair: Site, tmp_path: Path) -> None:
    """`celery events` in a terminal; it takes its queue along."""
    in_a_terminal = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
    command = ["-c", in_a_terminal, sys.executable, "-m", "celery", "-A", "app", "events"]
    with Monitor(pair, *command, log=tmp_path / "screen", TERM="linux", LINES="30", COLUMNS="150") as screen:
        screen.wait_for(lambda _: any("celeryev" in queue for queue in pair.queues))
        screen.wait_for(lambda text: "Workers online: w1@test, w2@test" in shown(text))
        row = re.compile(r"w\d@test +app\.add +[\d:]+ SUCCESS")
        screen.wait_for(lambda text: row.search(shown(text)), lambda: pair.ask("add.delay(1, 2).id"))
        assert screen.process.stdin is not None
        screen.process.stdin.write(b"\x03")
        screen.process.stdin.flush()
        assert screen.wait() == 0
    assert not any("celeryev" in queue for queue in pair.queues)


def shown(output: str) -> str:
    """What a terminal shows that has got this."""
    terminal = pyte.Screen(150, 30)
    pyte.Stream(terminal).feed(output)
    return "\n".join(terminal.display)


def test_a_camera_takes_pictures_of_what_is(pair: Site, tmp_path: Path) -> None:
    """`celery events --camera`: both workers, and a task of each state."""
    command = ["-m", "celery", "-A", "app", "events", "--camera", "camera.Camera", "--frequency", "0.5"]
    with Monitor(pair, *command, log=tmp_path / "camera") as camera:
        shows = re.compile(r"picture w1@test,w2@test .*app\.add=SUCCESS,.*app\.fail=FAILURE")
        camera.wait_for(
            lambda _: any(shows.match(note) for note in pair.notes),
            lambda: pair.ask("[add.delay(1, 2).id, fail.delay().id]"),
        )
        camera.process.send_signal(signal.SIGINT)
        assert camera.wait() == 0


def test_the_prometheus_exporter_counts_tasks_and_workers(pair: Site, tmp_path: Path) -> None:
    """celery-prometheus-exporter, which is of 2019, with the length of a queue, and switching events on by itself."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/metrics"
    arguments = ["--broker", pair.environment["BROKER_URL"], "--addr", f"127.0.0.1:{port}", "--enable-events"]
    command = ["-m", "celery_prometheus_exporter", *arguments, "--queue-list", "celery"]

    def metrics() -> str:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            return str(answer.read().decode())
        return ""

    wanted = ["celery_workers 2.0", 'celery_tasks_by_name{name="app.fail",state="FAILURE"}', "celery_queue_length{"]
    with Monitor(pair, *command, log=tmp_path / "exporter") as exporter:
        exporter.wait_for(
            lambda _: all(line in metrics() for line in wanted) and succeeded(metrics()) > 0,
            lambda: pair.ask("[add.delay(1, 2).id, fail.delay().id]"),
        )
        exporter.process.send_signal(signal.SIGTERM)
        assert exporter.wait() == 0
        assert "Traceback" not in exporter.output


def succeeded(metrics: str) -> float:
    """How many tasks have succeeded, as the exporter has it."""
    found = re.search(r'^celery_tasks\{state="SUCCESS"\} (\S+)$', metrics, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_no_event_is_missing_or_comes_twice_up_to_the_end_of_a_worker(pair: Site, tmp_path: Path) -> None:
    """`celery events --dump`, sixty tasks, and a worker that is told to stop: its last event says that it has."""
    subscribed = len(pair.subscribed)
    with Monitor(pair, "-m", "celery", "-A", "app", "events", "--dump", log=tmp_path / "dump") as dump:
        dump.wait_for(lambda _: len(pair.subscribed) > subscribed)
        pair.ask("[r.get(timeout=30) for r in [add.delay(n, n) for n in range(60)]]")
        pair.ask("app.control.shutdown(['w2@test'])")
        told = {"task received": 60, "task started": 60, "task succeeded": 60, "shutdown": 1}
        event = re.compile(r"^w\d@test \[.*?\] (shutdown|task \w+)", re.MULTILINE)
        dump.wait_for(lambda text: Counter(event.findall(text)) == told)
        dump.process.send_signal(signal.SIGINT)
        assert dump.wait() == 0
