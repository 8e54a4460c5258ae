"""The policies of docs/permissions.md are enough for what the page says they are for: all else is refused."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from tests.faults.relay import Relay
from tests.faults.weather import Refused

from .light_processes import LightProcesses
from .workers import Worker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kombu_sns_sqs.local import LocalService

pytestmark = pytest.mark.acceptance

HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs" / "permissions.md").read_text()
#: Requests that IAM does not ask about, or asks about under another name.
FREE = {"GetCallerIdentity"}
COVERED = {
    "DeleteMessageBatch": "DeleteMessage",
    "ChangeMessageVisibilityBatch": "ChangeMessageVisibility",
    "SendMessageBatch": "SendMessage",
    "PublishBatch": "Publish",
}

#: What Flower does.
MONITOR = """
def capture():
    seen = []
    with app.connection_for_read() as connection:
        receiver = app.events.Receiver(connection, {
            'task-succeeded': lambda event: (seen.append(event['type']), setattr(receiver, 'should_stop', True))
        })
        receiver.queue(connection.default_channel).declare()
        add.delay(2, 3)
        receiver.capture(limit=None, timeout=30)
    return seen

app.control.enable_events()
app.control.inspect().ping()
print(capture())
"""
DECLARE = "celery = app.amqp.queues['celery'](app.connection_for_write().default_channel); celery.declare()"


def granted(role: str) -> set[str]:
    """The actions of a role's policy, as requests name them."""
    block = re.search(rf"^## {role}$.*?```json\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL)
    assert block is not None
    statements = json.loads(block[1])["Statement"]
    actions = {action.partition(":")[2] for statement in statements for action in statement["Action"]}
    return actions | FREE | {batch for batch, action in COVERED.items() if action in actions}


class Strict(Relay):
    """A relay that lets through what a policy grants, and answers AccessDenied to all else."""

    def __init__(self, upstream: str, allowed: set[str]) -> None:
        super().__init__(upstream)
        self._allowed = allowed

    def _next_fault(self, action: str) -> Refused | None:
        return None if action in self._allowed else Refused("AccessDenied", 403)

    @property
    def refused(self) -> set[str]:
        """What was asked for in vain."""
        return self.calls.keys() - self._allowed


class Roles:
    """One name prefix, and processes that reach it with the permissions of a role."""

    def __init__(self, service: LocalService, folder: Path) -> None:
        self._service = service
        self.folder = folder
        self.notes = folder / "notes"
        self.notes.touch()
        self._prefix = f"r{uuid4().hex[:8]}-"

    @contextmanager
    def allowing(self, actions: set[str], options: str = "") -> Iterator[dict[str, str]]:
        """Give the environment of a process that may do these; fail if it asked for more."""
        with Strict(self._service.endpoint_url, actions) as relay:
            keys = f"{self._service.access_key}:{self._service.secret_key}"
            yield {
                **os.environ,
                "AWS_DEFAULT_REGION": self._service.region,
                "BROKER_URL": f"sns-sqs://{keys}@{relay.url.removeprefix('http://')}/{self._prefix}"
                f"?wait_time_seconds=2{options}",
                "NOTES": str(self.notes),
            }
            assert relay.refused == set(), "the policy does not grant this"

    def run(self, actions: set[str], code: str, options: str = "") -> str:
        """Run code that knows the app, with nothing else allowed."""
        with self.allowing(actions, options) as environment:
            command = [sys.executable, "-c", f"from app import *\n{code}"]
            done = subprocess.run(
                command, cwd=HERE, env=environment, capture_output=True, text=True, timeout=60, check=False
            )
            assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture
def roles(service: LocalService, tmp_path: Path) -> Roles:
    """A fresh name prefix."""
    return Roles(service, tmp_path)


def test_a_worker_a_producer_and_a_caller_need_no_more_than_their_policies(roles: Roles) -> None:
    """A worker with events, remote control and Broadcast that narrows its filters at once, and both who use it.

    Tasks have countdowns: one comes to the worker too early, through SNS, and one waits in a companion queue.
    """
    with (
        roles.allowing(granted("Worker"), "&filter_delay=0") as environment,
        Worker("app", folder=roles.folder, cwd=HERE, environment=environment, arguments=("-E",)) as worker,
    ):
        roles.run(
            granted("Producer"),
            "announce.apply_async(('hello',), countdown=4); add.apply_async((1, 2), countdown=1, ignore_result=True)",
        )
        roles.run(granted("Caller"), "add.apply_async((1, 2), countdown=3600, ignore_result=True)")
        worker.wait_for("Task app.announce")
        assert roles.run(granted("Caller"), "print(add.delay(2, 3).get(timeout=30))") == "5"
        assert "pong" in roles.run(granted("Caller"), "print(app.control.inspect().ping())")


def test_a_worker_that_finds_everything_in_place_and_a_monitor_need_no_more(roles: Roles) -> None:
    """A deployer has declared the lasting queue; a monitor comes when the worker is there."""
    roles.run(granted("Deployer"), DECLARE)
    with (
        roles.allowing(granted("Worker")) as environment,
        Worker("app", folder=roles.folder, cwd=HERE, environment=environment),
    ):
        assert roles.run(granted("Caller"), "print(add.delay(2, 3).get(timeout=30))") == "5"
        assert roles.run(granted("Monitor"), MONITOR) == "['task-succeeded']"


def test_dead_letters_need_no_more(roles: Roles) -> None:
    """A worker that makes the queue for them, a producer that declares as much, and whoever reads them."""
    with (
        roles.allowing(granted("Worker")) as environment,
        Worker(
            "failing_app", folder=roles.folder, cwd=HERE, environment=environment, arguments=("-Q", "refusing")
        ) as worker,
    ):
        refuse = "import failing_app; failing_app.refuse.apply_async(queue='refusing')"
        roles.run(granted("Producer"), refuse)
        worker.wait_for("reject requeue=False")
        letter = "import failing_app; print(failing_app.letter('bad')['reason'])"
        assert roles.run(granted("Worker"), letter) == "rejected"


def test_a_worker_that_sweeps_needs_no_more(roles: Roles) -> None:
    """It deletes what a killed process has left, bound and for replies, and gives its own signs."""
    mark = "&sweep_period=2"
    with (
        roles.allowing(granted("Worker"), mark) as environment,
        LightProcesses(1, "worker", folder=roles.folder, environment=environment) as killed,
    ):
        killed.kill()
    with (
        roles.allowing(granted("Worker"), mark) as environment,
        Worker("app", pool="solo", folder=roles.folder, cwd=HERE, environment=environment) as worker,
    ):
        worker.wait_for("that 1 processes had left when they were killed")
        assert "deleted 5 temporary queues and 3 subscriptions" in worker.output


def test_a_producer_that_assumes_needs_three_permissions(roles: Roles) -> None:
    """As the page says below the producer's policy."""
    line = next(line for line in PAGE.splitlines() if line.startswith('With `topology="assume"`'))
    three = set(re.findall(r"`(?:sqs|sns):(\w+)`", line))
    assert len(three) == 3
    roles.run(granted("Deployer"), DECLARE)
    roles.run(
        three | FREE,
        "add.apply_async((1, 2), ignore_result=True)\n"
        "app.connection_for_write().Producer().publish('x', exchange='celery', routing_key='celery')",
        "&topology=assume",
    )


def test_a_deployer_can_take_away_what_it_has_made(roles: Roles) -> None:
    """Purged twice in a row, bound anew, deleted; queue and exchange."""
    roles.run(
        granted("Deployer"),
        f"{DECLARE}\ncelery.purge(); celery.purge()\n"
        "celery.unbind_from(celery.exchange, celery.routing_key)\n"
        "celery.bind_to(celery.exchange, 'other')\n"
        "celery.delete(); celery.exchange.delete()",
    )


def test_a_missing_permission_is_noticed(roles: Roles) -> None:
    """The tests above can fail: what is not granted is refused, and counted."""
    with pytest.raises(AssertionError, match="AccessDenied"):
        roles.run(granted("Producer"), DECLARE)
