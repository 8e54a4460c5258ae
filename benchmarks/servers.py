"""The brokers under test, each private to the run: on a free port of 127.0.0.1, gone with whoever started it."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from tests.brokers import Broker, Emulator
from tests.brokers.emulators import Ministack
from tests.brokers.process import (
    ServerProcess,
    find_program,
    free_port,
    listens,
    plain_environment,
    private_directory,
)
from tests.brokers.rabbitmq import RabbitMQ

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SERVERS", "SERVICES", "Fauxqs", "Redis"]

ROOT: Final = Path(__file__).parents[1]
_NODE_NEEDED: Final = (22, 5)


class Fauxqs(Emulator):
    """fauxqs on Node: quick, and as quick with a long backlog as with a short one, which is what a benchmark needs.

    It is no reference for what SQS does: the conformance tests do not run on it.
    """

    name = "fauxqs"

    def missing(self) -> str | None:
        """None, or what has to be installed."""
        if not (_fauxqs_folder() / "node_modules" / "fauxqs").is_dir():
            return f"fauxqs is not in {_fauxqs_folder()}: `make bench` installs it, KOMBU_SNS_SQS_FAUXQS names another"
        node = find_program("node")
        if node is None:
            return "fauxqs needs node, which is neither beside this Python nor on PATH"
        version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
        if tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < _NODE_NEEDED:
            return f"fauxqs needs node 22.5 or later, and {node} is {version}"
        return None

    def command(self, port: int) -> list[str]:
        """The script beside this module."""
        script = Path(__file__).with_name("fauxqs.mjs")
        return [str(find_program("node")), str(script), str(_fauxqs_folder()), str(port)]

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._port


class MinistackService(Ministack):
    """ministack, for small runs where fauxqs is not installed."""

    access_key: ClassVar[str] = "test"

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._port


class RabbitMQServer(RabbitMQ):
    """RabbitMQ as the conformance tests start it."""

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._port


class Redis(Broker):
    """A redis-server that keeps nothing on disk."""

    name = "redis"

    def __init__(self) -> None:
        self._process: ServerProcess | None = None
        self.port = 0

    def available(self) -> str | None:
        """None, or what is missing: the server or its client for Python."""
        if find_program("redis-server") is None:
            return "redis-server is not installed"
        try:
            import redis  # noqa: F401, PLC0415 - an extra
        except ImportError:
            return "the Python package redis is not installed"
        return None

    def launch(self) -> None:
        """Start it and wait until it listens."""
        self.port = free_port()
        command = [str(find_program("redis-server")), "--bind", "127.0.0.1", "--port", str(self.port)]
        self._process = ServerProcess(
            command=[*command, "--save", "", "--appendonly", "no"],
            environment=plain_environment(),
            workdir=private_directory("redis"),
        )
        self._process.wait_until(lambda: listens(self.port), timeout=30)

    def stop(self) -> None:
        """Kill it."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def check(self) -> None:
        """Look at the process."""
        if self._process is not None:
            self._process.check()

    def url_for(self, namespace: str) -> str:
        """One database for all: names are unique anyway."""
        return f"redis://127.0.0.1:{self.port}/0"


#: What may stand in for AWS, the better first.
SERVICES: Final[dict[str, Callable[[], Any]]] = {"fauxqs": Fauxqs, "ministack": MinistackService}
#: The other brokers.
SERVERS: Final[dict[str, Callable[[], Any]]] = {"redis": Redis, "rabbitmq": RabbitMQServer}


def _fauxqs_folder() -> Path:
    return Path(os.environ.get("KOMBU_SNS_SQS_FAUXQS", ROOT / ".venv-bench" / "service"))
