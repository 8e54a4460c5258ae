"""Results: over `rpc://`, and in Celery's other backends beside a broker on SQS."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from .workers import STRICT, needs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kombu_sns_sqs.local import LocalService

    from .conftest import Site

pytestmark = pytest.mark.acceptance

APP = "results_app"
PLAIN = [3, list(range(1, 11)), 13, "ValueError('as it should')"]


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    """A Redis server on a free port of this machine."""
    if shutil.which("redis-server") is None and not STRICT:
        pytest.skip("there is no redis-server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            deadline = time.monotonic() + 30
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.kill()


@pytest.mark.parametrize(
    "backend",
    ["redis", "file", pytest.param("db+sqlite", marks=needs("sqlalchemy"))],
    ids=["redis", "file", "database"],
)
def test_results_and_chords_in_another_backend(
    site: Site, tmp_path: Path, backend: str, request: pytest.FixtureRequest
) -> None:
    """A result, a group, a chain, an error and a chord, with the tasks on SQS; no reply queue is made for them."""
    if backend == "redis":
        url = request.getfixturevalue("redis_url")
    else:
        folder = tmp_path / "results"
        folder.mkdir()
        url = f"{backend}:///{str(folder).lstrip('/')}" if backend == "file" else f"{backend}:///{folder}/results.db"
    site.environment["RESULTS"] = url
    with site.worker("w1", "solo", "--without-heartbeat", app=APP):
        before = site.queues
        assert site.ask("kinds()", app=APP) == [*PLAIN, 20]
        assert site.queues == before


def test_results_in_the_memory_of_the_worker_s_own_process(site: Site) -> None:
    """`cache+memory://`, as in tests: the worker is a thread of the process that asks."""
    site.environment["RESULTS"] = "cache+memory://"
    assert site.ask("within()", app=APP) == PLAIN


def test_results_over_rpc(service: LocalService, site: Site) -> None:
    """Ten thousand at once, ten to a request, through one queue; and a chord, which Celery refuses in its own words.

    On moto, which takes its time for each, they are hundreds.
    """
    number = 300 if service.emulator == "moto" else 10_000
    site.environment["RESULTS"] = "rpc://"
    with site.worker("w1", "prefork", "--without-heartbeat", app=APP):
        before = site.queues
        assert site.ask("kinds_without_chords()", app=APP) == PLAIN
        with site.relayed() as relay:
            assert site.ask(f"many({number})", timeout=150, app="many_results_app")
        calls = relay.calls
        assert (calls["CreateQueue"], calls["DeleteQueue"]) == (1, 1)
        assert number / 10 <= calls["ReceiveMessage"] <= number / 10 * 1.2 + 10
        assert number / 10 <= calls["DeleteMessageBatch"] <= number / 10 * 1.2 + 10
        assert 'The "rpc" result backend does not support chords!' in site.ask("refused_chord()", app=APP)
        assert site.messages("results") == 0
        assert site.queues == before
