"""Each benchmark, run small on what is installed: it comes through, and counts what it should.

No time is held against anything here.
"""

from __future__ import annotations

import math
import os
import socket
import threading
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from benchmarks import testbed as testbeds
from benchmarks.__main__ import BENCHMARKS, main
from benchmarks.contenders import OURS, RABBITMQ, REDIS
from benchmarks.relaying import Relay
from benchmarks.servers import SERVICES
from benchmarks.sizes import QUICK

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.result import Result
    from benchmarks.testbed import Testbed

pytestmark = [pytest.mark.acceptance]


@pytest.fixture(scope="module")
def testbed() -> Iterator[Testbed]:
    """Ours, and Redis and RabbitMQ where they are installed, behind a relay with a short round trip."""
    missing = {name: service().available() for name, service in SERVICES.items()}
    usable = [name for name, reason in missing.items() if reason is None]
    if not usable:
        if os.environ.get("CI_STRICT") == "1":
            pytest.fail(f"nothing can play AWS in a strict run: {missing}")
        pytest.skip(f"nothing can play AWS: {missing}")
    with testbeds.Testbed(contenders=[OURS, REDIS, RABBITMQ], service=usable[0], rtt=0.004, sizes=QUICK) as testbed:
        yield testbed


def run(name: str, testbed: Testbed) -> Result:
    """Run one of them; none of the contenders may fail."""
    result = BENCHMARKS[name].run(testbed, lambda _: None)
    assert result.failures == ()
    assert all(math.isfinite(figure.value) and figure.value >= 0 and figure.contender for figure in result.figures)
    return result


@pytest.mark.parametrize("name", ["drain", "publish", "latency", "memory", "scaling"])
def test_a_benchmark_comes_through_with_figures_of_everybody(name: str, testbed: Testbed) -> None:
    """Each contender has the same figures, but for API calls, which only AWS counts."""
    result = run(name, testbed)
    taking_part = [one.name for one in testbed.contenders if BENCHMARKS[name].takes(one)]
    figures: dict[str, set[tuple[str, str]]] = {one: set() for one in taking_part}
    for figure in result.figures:
        if not figure.name.startswith("API calls"):
            figures[figure.contender].add((figure.condition, figure.name))
    assert figures[OURS.name]
    assert all(mine == figures[OURS.name] for mine in figures.values())


def test_calls_of_a_task_are_counted(testbed: Testbed) -> None:
    """Published one by one each task is one SendMessage, and its delete is part of a batch; a broadcast is one call."""
    result = run("calls", testbed)
    singly = {figure.name: figure.value for figure in result.figures if figure.condition == "published one by one"}
    assert singly["SendMessage"] == 1
    assert 0 < singly["DeleteMessageBatch"] <= 0.5
    assert 0 < singly["ReceiveMessage"] <= 1
    assert singly["all"] == pytest.approx(sum(value for name, value in singly.items() if name != "all"))
    assert result.figures.value(OURS.name, "fan-out", "publishes") == 1
    assert (result.figures.value(OURS.name, "idle", "polls") or 0) > 0


def test_instructions_are_counted_or_it_is_said_why_not(testbed: Testbed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a counter there are no figures, and one note. One contender will do: under a counter all is slow."""
    monkeypatch.setattr(testbed, "contenders", (OURS,))
    result = run("instructions", testbed)
    notes = [note for note in testbed.notes if note.startswith("instructions")]
    assert bool(len(result.figures)) != bool(notes)


def test_without_the_service_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It does not begin."""
    monkeypatch.setenv("KOMBU_SNS_SQS_FAUXQS", str(tmp_path))
    done = CliRunner().invoke(main, ["--contenders", "sns-sqs", "--only", "drain", "--quick"])
    assert done.exit_code == 1
    assert "make bench" in done.output
    assert "--service" in done.output


def test_the_relay_adds_its_round_trip_and_changes_nothing() -> None:
    """What goes in comes out, in order, later by the round trip; with none it is passed on at once."""
    with socket.create_server(("127.0.0.1", 0)) as server, Relay() as relay:
        threading.Thread(target=_echo, args=(server,), daemon=True).start()
        port = relay.listen(server.getsockname()[1], aws=False)
        relay.delay(0.05)
        sent = os.urandom(300_000)
        with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
            client.sendall(sent)
            client.settimeout(0.03)
            with pytest.raises(TimeoutError):
                client.recv(1)
            client.settimeout(20)
            received = b""
            while len(received) < len(sent):
                received += client.recv(1 << 16)
        assert received == sent
        traffic, _ = relay.read(port)
        assert traffic.bytes_up == traffic.bytes_down == len(sent)
        relay.reset(port)
        assert relay.read(port)[0].bytes_up == 0


def _echo(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        while data := connection.recv(1 << 16):
            connection.sendall(data)
