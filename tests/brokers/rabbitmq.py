"""RabbitMQ through kombu's pyamqp: the oracle. A scenario it fails is a wrong scenario."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path
from typing import ClassVar

from .base import Broker
from .process import ServerProcess, find_program, free_port, listens, plain_environment, private_directory

# Debian's /usr/sbin/rabbitmq-server insists on root or the rabbitmq user; the script behind it asks for neither.
_UNWRAPPED = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


class RabbitMQ(Broker):
    """A private node with a name service of its own, run as whoever runs the tests."""

    name = "rabbitmq"
    settle_seconds: ClassVar[float] = 0.05

    def __init__(self) -> None:
        self._processes: list[ServerProcess] = []
        self._port = 0

    def available(self) -> str | None:
        """None, or which program is missing."""
        if _server() is None:
            return "rabbitmq-server is not installed"
        return None if shutil.which("epmd") else "epmd, Erlang's name service, is not installed"

    def launch(self) -> None:
        """Start epmd, then the node; about seven seconds."""
        self._port, epmd_port = free_port(), free_port()
        # Started by us, in the foreground: the one a node starts for itself is a daemon that stays behind.
        epmd = ["epmd", "-address", "127.0.0.1", "-port", str(epmd_port)]
        self._launch("epmd", epmd, plain_environment(), private_directory("epmd"), epmd_port)
        home = private_directory("rabbitmq")
        (home / "enabled_plugins").write_text("[].\n")
        (home / "rabbitmq.conf").write_text("log.console.level = warning\n")
        self._launch("rabbitmq", [str(_server())], self._environment(home, epmd_port), home, self._port)

    def stop(self) -> None:
        """Kill the node and its name service."""
        while self._processes:
            self._processes.pop().stop()

    def check(self) -> None:
        """Look at both processes."""
        for process in self._processes:
            process.check()

    def url_for(self, namespace: str) -> str:
        """The default virtual host: making one takes longer than most scenarios, and entity names are unique anyway."""
        return f"amqp://guest:guest@127.0.0.1:{self._port}//"

    def _launch(self, name: str, command: list[str], environment: dict[str, str], workdir: Path, port: int) -> None:
        process = ServerProcess(command=command, environment=environment, workdir=workdir)
        self._processes.append(process)
        process.wait_until(lambda: listens(port), timeout=60)

    def _environment(self, home: Path, epmd_port: int) -> dict[str, str]:
        return plain_environment() | {
            "HOME": str(home),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(epmd_port),
            "RABBITMQ_CONF_ENV_FILE": str(home / "none.conf"),
            "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq"),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
            "RABBITMQ_FEATURE_FLAGS_FILE": str(home / "feature_flags"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(home / "generated"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_LOG_BASE": str(home / "log"),
            "RABBITMQ_MNESIA_BASE": str(home / "mnesia"),
            "RABBITMQ_NODENAME": f"conformance-{uuid.uuid4().hex[:8]}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self._port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}",
        }


def _server() -> str | None:
    return str(_UNWRAPPED) if _UNWRAPPED.exists() else find_program("rabbitmq-server")
