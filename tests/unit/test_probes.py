"""A worker's health, as probes ask for it."""

from __future__ import annotations

import json
import os
import socket
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from celery_integration import HealthProbe
from celery_integration.probes import HealthFile, HealthServer, parse_address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Worker:
    """What is told of a worker."""

    def __init__(self) -> None:
        self.told: dict[str, Any] = {"live": True, "ready": True, "complaints": []}
        self.server = HealthServer(("127.0.0.1", 0), lambda: self.told)

    def get(self, path: str, method: str = "GET") -> tuple[int, bytes]:
        """Ask over HTTP."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.server.port}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()


@pytest.fixture
def worker() -> Iterator[Worker]:
    """A worker that is well."""
    worker = Worker()
    yield worker
    worker.server.close()


def test_a_healthy_worker_answers_200_and_says_so(worker: Worker) -> None:
    """As JSON; without a body to who asks for none."""
    for path in ("/livez", "/readyz", "/livez?verbose"):
        assert worker.get(path) == (200, json.dumps(worker.told).encode())
    assert worker.get("/livez", "HEAD") == (200, b"")


def test_what_is_not_so_is_503_with_the_reasons(worker: Worker) -> None:
    """Each path tells its own; other paths are not there."""
    worker.told = {"live": True, "ready": False, "complaints": []}
    assert [worker.get(path)[0] for path in ("/livez", "/readyz", "/")] == [200, 503, 404]
    worker.told = {"live": False, "ready": False, "complaints": ["the main loop stands still"]}
    status, body = worker.get("/livez")
    assert (status, json.loads(body)["complaints"]) == (503, ["the main loop stands still"])


def test_who_keeps_silent_keeps_nobody_waiting(worker: Worker) -> None:
    """A connection without a request is a thread's business."""
    with socket.create_connection(("127.0.0.1", worker.server.port)):
        assert worker.get("/livez")[0] == 200


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_does_not_hold_the_port(worker: Worker) -> None:
    """A pool's child may live on when the worker has gone."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(writing)
        os.read(reading, 1)
        os._exit(0)
    os.close(reading)
    try:
        worker.server.close()
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", worker.server.port), timeout=5)
        again = HealthServer(("127.0.0.1", worker.server.port), dict)
        again.close()
    finally:
        os.close(writing)
        os.waitpid(child, 0)


def test_a_port_in_use_is_an_error() -> None:
    """At once, and not a probe that is answered by somebody else."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        HealthServer(taken.getsockname(), dict)


def test_the_file_is_there_while_all_is_well(tmp_path: Path) -> None:
    """Its time is that of the last look; removing what is not there is no error."""
    path = tmp_path / "alive"
    file = HealthFile(path)
    file.tell(ready=False)
    assert not path.exists()
    file.tell(ready=True)
    os.utime(path, (0, 0))
    file.tell(ready=True)
    assert path.stat().st_mtime > 0
    file.tell(ready=False)
    assert not path.exists()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),
        ("[::1]:8080", ("::1", 8080)),
        ("localhost:0", ("localhost", 0)),
    ],
)
def test_an_address_is_host_and_port(text: str, address: tuple[str, int]) -> None:
    """An IPv6 address in brackets."""
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["8080", ":8080", "localhost", "localhost:", "localhost:http", "localhost:65536", ""])
def test_anything_else_is_an_error_that_shows_what_it_should_be(text: str) -> None:
    """When `install` is called, and not when the worker runs."""
    with pytest.raises(ValueError, match=r"is not host:port, such as 127\.0\.0\.1:8080"):
        parse_address(text)


def test_a_probe_that_tells_nobody_or_bears_no_silence_is_an_error() -> None:
    """When it is made."""
    for wrong, says in (({}, "needs a file"), ({"file": "f", "seconds": 0}, "seconds is 0"), ({"address": "x"}, "x")):
        with pytest.raises(ValueError, match=says):
            HealthProbe(**wrong)
    probe = HealthProbe(file="f")
    assert probe.interval * probe.patience == probe.seconds
