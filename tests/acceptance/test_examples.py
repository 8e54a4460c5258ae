"""The README's examples are the example files, and the example files work."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from kombu import Connection, Queue

from kombu_sns_sqs import option_reading
from kombu_sns_sqs.local import LocalService

from .workers import PATIENCE, Worker

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    """A local service, as `python -m kombu_sns_sqs.local` would offer it."""
    with LocalService.start() as service:
        yield {
            **os.environ,
            "BROKER_URL": f"{service.broker_url}?wait_time_seconds=2",
            "AWS_DEFAULT_REGION": service.region,
        }


def run(example: str, *arguments: str, environment: dict[str, str]) -> str:
    """Run an example to its end and return what it printed."""
    done = subprocess.run(
        [sys.executable, example, *arguments],
        cwd=EXAMPLES,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("example", "place"),
    [("tasks.py", 0), ("broadcast.py", 1), ("batches.py", 2), ("plain_kombu.py", 3), ("dead_letters.py", 5)],
)
def test_the_readme_shows_the_example(example: str, place: int) -> None:
    """The code block is, to the letter, the marked part of the file."""
    marked = re.search(r"# \[readme: \w+\]\n(.*?)# \[end\]", (EXAMPLES / example).read_text(), re.DOTALL)
    assert marked is not None
    assert BLOCKS[place] == marked[1]


@pytest.mark.parametrize(("example", "place"), [("django_site.py", 1), ("flask_site.py", 2)])
def test_the_page_on_celery_shows_the_example(example: str, place: int) -> None:
    """To the letter."""
    marked = re.search(r"# \[docs: \w+\]\n(.*?)# \[end\]", (EXAMPLES / example).read_text(), re.DOTALL)
    assert marked is not None
    page = (ROOT / "docs" / "celery.md").read_text()
    assert re.findall(r"```python\n(.*?)```", page, re.DOTALL)[place] == marked[1].rstrip() + "\n"


def test_every_option_is_documented_and_every_documented_option_exists() -> None:
    """The names in the tables of the configuration page are the names the transport takes."""
    page = (ROOT / "docs" / "configuration.md").read_text()
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    documented = {name for row in rows for name in re.findall(r"`([\w-]+)`", row)}
    documented |= set(re.findall(r"`(\w+)`", page[page.index("`polling_interval`") : page.index("are taken and have")]))
    documented -= {"aws_", "ssl"}
    assert documented | {name for name in option_reading.VALID_NAMES if name.startswith("aws_")} == set(
        option_reading.VALID_NAMES
    )


@pytest.mark.acceptance
def test_the_celery_example_prints_its_result(environment: dict[str, str], tmp_path: Path) -> None:
    """A worker as the README starts it, and the script."""
    with Worker("tasks", folder=tmp_path, cwd=EXAMPLES, environment=environment):
        assert run("tasks.py", environment=environment) == "5"


@pytest.mark.acceptance
def test_the_batches_example_prints_its_sums(environment: dict[str, str], tmp_path: Path) -> None:
    """Of a group, and of a loop in a block."""
    with Worker("batches", folder=tmp_path, cwd=EXAMPLES, environment=environment):
        assert run("batches.py", environment=environment).split() == ["4900", "4900"]


@pytest.mark.acceptance
def test_the_broadcast_example_reaches_both_workers(environment: dict[str, str], tmp_path: Path) -> None:
    """Each prints that it reloaded its cache."""
    with (
        Worker("broadcast", name="one", folder=tmp_path, cwd=EXAMPLES, environment=environment) as one,
        Worker("broadcast", name="two", folder=tmp_path, cwd=EXAMPLES, environment=environment) as two,
    ):
        run("broadcast.py", environment=environment)
        one.wait_for("cache reloaded by one@")
        two.wait_for("cache reloaded by two@")


@pytest.mark.acceptance
def test_the_example_of_dead_letters_makes_one(environment: dict[str, str], tmp_path: Path) -> None:
    """The order that does not exist is in the queue of dead letters, with the reason."""
    with Worker("dead_letters", folder=tmp_path, cwd=EXAMPLES, environment=environment) as worker:
        run("dead_letters.py", environment=environment)
        worker.wait_for("reject requeue=False")
    with Connection(environment["BROKER_URL"], transport_options={"region": "us-east-1"}) as connection:
        letter = Queue("orders-dead", no_declare=True)(connection).get(no_ack=True)
        assert letter.headers["x-first-death-reason"] == "rejected"


def test_the_kombu_example_routes_between_three_processes(environment: dict[str, str]) -> None:
    """One binds, the next publishes without declaring, the last consumes."""
    run("plain_kombu.py", "bind", environment=environment)
    run("plain_kombu.py", "publish", environment=environment)
    assert run("plain_kombu.py", "consume", environment=environment) == "{'score': '2:1'}"


@pytest.mark.parametrize("example", ["counting_hooks.py", "prometheus_metrics.py", "opentelemetry_metrics.py"])
def test_the_page_on_monitoring_shows_the_example(example: str) -> None:
    """As the README does."""
    marked = re.search(r"# \[readme: \w+\]\n(.*?)# \[end\]", (EXAMPLES / example).read_text(), re.DOTALL)
    assert marked is not None
    assert f"```python\n{marked[1]}```" in (ROOT / "docs" / "monitoring.md").read_text()


def test_the_example_of_hooks_prints_its_counts(environment: dict[str, str]) -> None:
    """Of one message."""
    counts = {"sent counted": 1, "received counted": 1, "ack counted": 1}
    assert run("counting_hooks.py", environment=environment) == str(counts)


def metrics(port: int) -> list[str]:
    """What Prometheus would be told."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        return str(answer.read().decode()).splitlines()


@pytest.mark.acceptance
def test_the_example_for_prometheus_exposes_what_all_processes_have_counted(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """Among it what a child of the pool has published."""
    # Below the ports that are given out to whoever asks for any: nobody takes it while the worker starts.
    port = random.randrange(20_000, 30_000)
    watched = {**environment, "METRICS_PORT": str(port), "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    with Worker("prometheus_metrics", folder=tmp_path, cwd=EXAMPLES, environment=watched) as worker:
        run("prometheus_metrics.py", environment=environment)
        worker.wait_for("worked")
        published = 'kombu_sns_sqs_published_messages_total{destination="celery",outcome="sent",service="sqs"} 1.0'
        deadline = time.monotonic() + PATIENCE
        # It is counted when AWS has it, which is when another child may be done with it already.
        while published not in (lines := metrics(port)):
            assert time.monotonic() < deadline, lines
            time.sleep(0.05)
    assert any(line.startswith("kombu_sns_sqs_received_messages_total") for line in lines)


@pytest.mark.acceptance
def test_the_example_for_opentelemetry_is_one_trace_and_its_metrics(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """From the script to the task by way of the message's headers; the worker exports its metrics as it ends."""
    with Worker("opentelemetry_metrics", folder=tmp_path, cwd=EXAMPLES, environment=environment) as worker:
        assert run("opentelemetry_metrics.py", environment=environment).splitlines()[0] == "True"
    assert '"messaging.client.consumed.messages"' in worker.output
    assert '"messaging.client.operation.duration"' in worker.output
