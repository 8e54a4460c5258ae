"""A local service for real workers, and the client's side of the app."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import boto3
import pytest

from kombu_sns_sqs.addressing import topic_name
from kombu_sns_sqs.local import LocalService
from kombu_sns_sqs.temporary_names import sweeper_queue_name
from tests.faults.relay import Relay

from .ledger import EMULATORS, ONLY
from .light_processes import LightProcesses
from .workers import Worker, together

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent


class Site:
    """One name prefix on a local service: its environment, its workers' notes, what is on the service."""

    def __init__(self, service: LocalService, folder: Path, options: str = "") -> None:
        self._endpoint = service.endpoint_url
        self.prefix = f"a{uuid4().hex[:8]}-"
        self.notes_file = folder / "notes"
        self.notes_file.touch()
        self.folder = folder
        self.environment = {
            **os.environ,
            "BROKER_URL": f"{service.broker_url}/{self.prefix}?wait_time_seconds=2&{options}".rstrip("&"),
            "AWS_DEFAULT_REGION": service.region,
            "NOTES": str(self.notes_file),
        }
        keys = {"aws_access_key_id": service.access_key, "aws_secret_access_key": service.secret_key}
        self._clients = {
            name: boto3.client(name, endpoint_url=service.endpoint_url, region_name=service.region, **keys)
            for name in ("sqs", "sns")
        }

    def worker(
        self, name: str = "w1", pool: str = "prefork", *arguments: str, app: str = "app", **environment: str
    ) -> Worker:
        """Make a worker of this site."""
        return Worker(
            app,
            name=name,
            pool=pool,
            folder=self.folder,
            cwd=HERE,
            environment={**self.environment, **environment},
            arguments=arguments,
        )

    @contextmanager
    def relayed(self) -> Iterator[Relay]:
        """Have the clients of a while go through a relay, which counts what they ask for; workers go straight on.

        Without signs of life there is no queue for who sweeps, either, which a client may make that lives so long.
        """
        url = self.environment["BROKER_URL"]
        with Relay(self._endpoint) as relay:
            addresses = (address.removeprefix("http://") for address in (self._endpoint, relay.url))
            self.environment["BROKER_URL"] = url.replace(*addresses) + "&sweep_period=0"
            try:
                yield relay
            finally:
                self.environment["BROKER_URL"] = url

    def light_processes(self, count: int, kind: str) -> LightProcesses:
        """Make some plain kombu processes of this site."""
        return LightProcesses(count, kind, folder=self.folder, environment=self.environment)

    def ask(self, expression: str, timeout: float = 60, app: str = "app") -> Any:
        """Evaluate an expression over the app in a client process of its own, and return it by way of JSON."""
        code = f"import json, sys, time; from {app} import *; print(json.dumps({expression}))"
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=HERE,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    @property
    def notes(self) -> list[str]:
        """What the tasks have noted."""
        return self.notes_file.read_text().splitlines()

    def wait_for_notes(self, enough: Callable[[list[str]], bool], timeout: float = 30) -> list[str]:
        """Wait until the notes say enough."""
        self.wait_until(lambda: enough(self.notes), lambda: self.notes, timeout)
        return self.notes

    def wait_until(self, true: Callable[[], object], otherwise: Callable[[], object], timeout: float = 30) -> None:
        """Wait until something is true; fail with what is there otherwise."""
        deadline = time.monotonic() + timeout
        while not true():
            assert time.monotonic() < deadline, otherwise()
            time.sleep(0.05)

    def open_gate(self, gate: str = "gate") -> None:
        """Let the tasks of `gated_app` end that wait for it."""
        (self.folder / gate).touch()

    @property
    def queues(self) -> list[str]:
        """The SQS queues of this site, without its prefix and without the one whose message says who sweeps."""
        urls = self._clients["sqs"].list_queues(QueueNamePrefix=self.prefix).get("QueueUrls", [])
        names = {url.rpartition("/")[2].removeprefix(self.prefix) for url in urls}
        return sorted(names - {sweeper_queue_name()})

    def make_queue(self, name: str, tags: dict[str, str]) -> str:
        """Make a queue as a stranger would, and return its name."""
        self._clients["sqs"].create_queue(QueueName=f"{self.prefix}{name}", tags=tags)
        return name

    def subscribe(self, queue: str, exchange: str) -> None:
        """Subscribe a queue to an exchange's topic as a stranger would."""
        url = self._clients["sqs"].get_queue_url(QueueName=f"{self.prefix}{queue}")["QueueUrl"]
        asked = self._clients["sqs"].get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        topics = self._clients["sns"].get_paginator("list_topics").paginate().build_full_result()["Topics"]
        name = topic_name(exchange, prefix=self.prefix)
        (topic,) = (one["TopicArn"] for one in topics if one["TopicArn"].endswith(f":{name}"))
        self._clients["sns"].subscribe(TopicArn=topic, Protocol="sqs", Endpoint=asked["Attributes"]["QueueArn"])

    def ready(self, queue: str) -> int:
        """How many messages of a queue nobody has taken."""
        url = self._clients["sqs"].get_queue_url(QueueName=f"{self.prefix}{queue}")["QueueUrl"]
        name = "ApproximateNumberOfMessages"
        return int(self._clients["sqs"].get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name])

    @property
    def subscribed(self) -> list[str]:
        """The queues of this site that are subscribed to a topic, without its prefix."""
        rows = self._clients["sns"].get_paginator("list_subscriptions").paginate().build_full_result()["Subscriptions"]
        names = (row["Endpoint"].rpartition(":")[2] for row in rows)
        return sorted(name.removeprefix(self.prefix) for name in names if name.startswith(self.prefix))

    def messages(self, queue: str) -> int:
        """Count the messages of a queue, visible or in somebody's hands."""
        url = self._clients["sqs"].get_queue_url(QueueName=f"{self.prefix}{queue}")["QueueUrl"]
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        counts = self._clients["sqs"].get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(int(count) for count in counts.values())

    def send_raw(self, queue: str, body: str, attributes: dict[str, Any] | None = None) -> None:
        """Put a message into a queue as a stranger would."""
        url = self._clients["sqs"].get_queue_url(QueueName=f"{self.prefix}{queue}")["QueueUrl"]
        self._clients["sqs"].send_message(QueueUrl=url, MessageBody=body, MessageAttributes=attributes or {})


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test on both emulators, on the one that the ledger has for its module, or on ``--emulator``'s."""
    if "service" in metafunc.fixturenames:
        module = metafunc.module.__name__.rpartition(".")[2]
        from_ledger = [ONLY[module][0]] if module in ONLY else EMULATORS
        emulators = metafunc.config.getoption("--emulator") or from_ledger
        metafunc.parametrize("service", emulators, indirect=True, scope="session")


@pytest.fixture(scope="session")
def service(request: pytest.FixtureRequest) -> Iterator[LocalService]:
    """A local service for all acceptance tests on an emulator."""
    with LocalService.start(emulator=request.param) as service:
        yield service


@pytest.fixture
def site(service: LocalService, tmp_path: Path) -> Site:
    """A fresh name prefix."""
    return Site(service, tmp_path)


@pytest.fixture
def short_leases(service: LocalService, tmp_path: Path) -> Site:
    """A fresh name prefix whose workers hold messages for four seconds at a time."""
    return Site(service, tmp_path, "visibility_timeout=4")


@pytest.fixture(scope="module")
def team(service: LocalService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with two prefork workers that all tests of a module share."""
    site = Site(service, tmp_path_factory.mktemp("team"))
    with together(site.worker("w1", "prefork", "-E"), site.worker("w2", "prefork", "-E")):
        yield site
