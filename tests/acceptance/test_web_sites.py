"""The examples of web sites, served by a real server: tasks from many threads at once, or from many greenlets."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .workers import GREEN, PATIENCE, Worker, needs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .conftest import Site

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(sys.platform == "win32", reason="gunicorn does not run on Windows"),
]
ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
#: What the server is told, for each way to serve many requests at once.
SERVING = {"threads": ("-k", "gthread", "--threads", "8"), "gevent": ("-k", "gevent")}
REQUESTS = 24


@contextmanager
def served(site: Site, example: str, *options: str) -> Iterator[str]:
    """Serve an example by a process, and give its URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = "{}:{}".format(*free.getsockname())
    log = (site.folder / f"{example}.log").open("w+")
    server = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "-b", address, "-w", "1", *options, example],
        cwd=EXAMPLES,
        env=site.environment,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    try:
        deadline = time.monotonic() + PATIENCE
        while Path(log.name).read_text().count("Booting worker") < 1:
            assert server.poll() is None, Path(log.name).read_text()
            assert time.monotonic() < deadline, Path(log.name).read_text()
            time.sleep(0.05)
        yield f"http://{address}"
        server.send_signal(signal.SIGQUIT)
        server.wait(PATIENCE)
    finally:
        server.kill()
        log.close()


def order(url: str) -> str:
    """Order something, and return the task's id."""
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:  # noqa: S310
        return str(json.load(answer)["task"])


@pytest.mark.parametrize(
    "example", [pytest.param("django_site", marks=needs("django")), pytest.param("flask_site", marks=needs("flask"))]
)
def test_every_request_of_a_site_sends_its_task(site: Site, example: str) -> None:
    """From eight threads, and from a process whose requests are greenlets; each task runs once."""
    sent: list[str] = []
    ways = [options for way, options in SERVING.items() if way in ("threads", GREEN)]
    for number, options in enumerate(ways):
        with served(site, example, *options) as url, ThreadPoolExecutor(REQUESTS) as clients:
            sent += clients.map(order, [f"{url}/orders/{number * REQUESTS + one}" for one in range(REQUESTS)])
    assert len(set(sent)) == REQUESTS * len(ways)
    with Worker(example, folder=site.folder, cwd=EXAMPLES, environment=site.environment, pool="threads") as worker:
        deadline = time.monotonic() + PATIENCE
        while worker.output.count(" succeeded in ") < len(sent):
            assert time.monotonic() < deadline, worker.output[-3000:]
            time.sleep(0.1)
    assert sorted(re.findall(r"Task \w+\.ship\[([\w-]+)\] succeeded", worker.output)) == sorted(sent)
