"""``python -m benchmarks.events``: what events, heartbeats and gossip cost in API calls, counted.

Real workers with Celery's defaults on a local service, each behind a port of the relay of its own, all at the same
time. After a start that is not counted, requests that carry messages are, by action, for ``--seconds``; what is printed
is for a process and an hour. docs/costs.md has the figures of a run.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from celery import Celery

from benchmarks.processes import Program, wait_for
from benchmarks.relaying import Relay
from benchmarks.traffic import DATA_PLANE, IDLE_POLL
from celery_integration import publish_batch
from kombu_sns_sqs.local import LocalService

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_TASK: Final = "benchmarks.programs.watched.nothing"


@dataclass(frozen=True)
class Scene:
    """Workers, who watches them, and what they have to do meanwhile.

    Args:
        arguments: of each ``celery worker``.
        workers: how many of them.
        monitor: a command of Celery's that follows them.
        burst: tasks that are published at once when the counting begins.
        rate: tasks published each second.
    """

    name: str
    arguments: tuple[str, ...] = ()
    workers: int = 1
    monitor: tuple[str, ...] = ()
    gossip: bool = False
    burst: int = 0
    rate: int = 0
    options: str = ""


_DUMP: Final = ("events", "--dump")
_SPARING: Final = ("-E", "--heartbeat-interval", "10")
_FLOWER: Final = ("flower", "--port=0", "--address=127.0.0.1")

SCENES: Final = (
    Scene("no heartbeat", ("--without-heartbeat",)),
    Scene("heartbeat every 2 s"),
    Scene("heartbeat every 30 s", ("--heartbeat-interval", "30")),
    Scene("one worker, a dump", monitor=_DUMP),
    Scene("four workers, a dump", workers=4, monitor=_DUMP),
    Scene("four workers, every 30 s, a dump", ("--heartbeat-interval", "30"), workers=4, monitor=_DUMP),
    Scene("one worker, Flower", monitor=_FLOWER),
    Scene("one worker, -E, Flower that enables nothing", ("-E",), monitor=(*_FLOWER, "--enable_events=False")),
    Scene("two workers, gossip", workers=2, gossip=True),
    Scene("four workers, gossip", workers=4, gossip=True),
    Scene("1,000 tasks at once", burst=1000),
    Scene("1,000 tasks at once, -E", ("-E",), burst=1000),
    Scene("1 task/s", rate=1),
    Scene("1 task/s, -E", ("-E",), rate=1),
    Scene("1 task/s, -E, event_delay=5, 10 s", _SPARING, rate=1, options="&event_delay=5"),
    Scene("10 tasks/s", rate=10),
    Scene("10 tasks/s, -E", ("-E",), rate=10),
    Scene("10 tasks/s, -E, event_delay=5, 10 s", _SPARING, rate=10, options="&event_delay=5"),
)


class Stage:
    """One scene: its processes, and the port of the relay that each of them has."""

    def __init__(self, number: int, scene: Scene, relay: Relay, service: LocalService, folder: Path) -> None:
        self.scene = scene
        self._relay = relay
        self._folder = folder
        self._parts = urlsplit(service.broker_url)
        self._tail = f"/e{number}-?region={service.region}{scene.options}"
        self._ports: dict[str, int] = {}
        self._programs: list[Program] = []
        self._app = Celery("producer", broker=self._url(self._parts.port or 0), set_as_current=False)

    def _url(self, port: int) -> str:
        return f"sns-sqs://{self._parts.username}:{self._parts.password}@127.0.0.1:{port}{self._tail}"

    def start(self, stack: ExitStack) -> None:
        """Start them, workers first."""
        for number in range(self.scene.workers):
            name = f"w{number}"
            arguments = ("worker", "-n", f"{name}@events", "-c", "2", "-l", "INFO", *self.scene.arguments)
            self._run(stack, name, arguments)
        for name in self._ports:
            wait_for(f"{name} of {self.scene.name!r}", lambda name=name: "ready." in self._log(name), timeout=300)
        if self.scene.monitor:
            self._run(stack, "monitor", self.scene.monitor)

    def _run(self, stack: ExitStack, name: str, arguments: tuple[str, ...]) -> None:
        self._ports[name] = self._relay.listen(self._parts.port or 0, aws=True)
        environment = {
            "BROKER_URL": self._url(self._ports[name]),
            "GOSSIP": str(int(self.scene.gossip)),
            "C_FORCE_ROOT": "1",
        }
        command = ["-m", "celery", "-A", "benchmarks.programs.watched", *arguments]
        program = Program(command, log=self._folder / f"{id(self)}-{name}.log", environment=environment)
        stack.callback(program.stop)

    def _log(self, name: str) -> str:
        return (self._folder / f"{id(self)}-{name}.log").read_text(errors="replace")

    def reset(self) -> None:
        """Count from nothing."""
        for port in self._ports.values():
            self._relay.reset(port)

    def publish(self, tasks: int) -> None:
        """Send some tasks, past the relay."""
        if tasks:
            with publish_batch(self._app):
                for _ in range(tasks):
                    self._app.send_task(_TASK)

    def counts(self) -> Iterator[tuple[str, Counter[str], int]]:
        """Calls of the workers, and of the monitors, with how many there are of them."""
        for kind in ("worker", "monitor"):
            ports = [port for name, port in self._ports.items() if name.startswith(kind[0])]
            calls: Counter[str] = Counter()
            for port in ports:
                calls += self._relay.read(port)[0].calls
            if ports:
                yield kind, Counter({action: calls[action] for action in calls if _carries(action)}), len(ports)


def _carries(action: str) -> bool:
    return action in DATA_PLANE or action == IDLE_POLL


def main(arguments: Sequence[str] | None = None) -> None:
    """Play all scenes at once and print what was counted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=120, help="for how long calls are counted")
    parser.add_argument("--rest", type=int, default=15, help="seconds before that, in which workers come to rest")
    parser.add_argument("--only", help="scenes whose name has this in it")
    asked = parser.parse_args(arguments)
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    scenes = [scene for scene in SCENES if not asked.only or asked.only in scene.name]
    if find_spec("flower") is None:
        scenes = [scene for scene in scenes if "Flower" not in scene.name]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        service = stack.enter_context(LocalService.start())
        relay = stack.enter_context(Relay())
        stages = [Stage(number, scene, relay, service, folder) for number, scene in enumerate(scenes)]
        for stage in stages:
            stage.start(stack)
        time.sleep(asked.rest)
        for stage in stages:
            stage.reset()
        began = time.monotonic()
        for stage in stages:
            stage.publish(stage.scene.burst)
        for second in range(1, asked.seconds + 1):
            for stage in stages:
                stage.publish(stage.scene.rate)
            time.sleep(max(0.0, began + second - time.monotonic()))
        print(f"calls per process and hour, from {asked.seconds} s")
        for stage in stages:
            for kind, calls, processes in stage.counts():
                hourly = {action: round(count * 3600 / asked.seconds / processes) for action, count in calls.items()}
                listed = ", ".join(f"{action} {count:,}" for action, count in sorted(hourly.items()))
                print(f"{stage.scene.name}, {kind}: {sum(hourly.values()):,} ({listed})")


if __name__ == "__main__":
    main()
