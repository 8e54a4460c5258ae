"""Our transport on three AWS emulators, each a process of its own on loopback."""

from __future__ import annotations

import abc
import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from .base import Broker
from .process import ServerProcess, find_program, free_port, listens, plain_environment, private_directory

if TYPE_CHECKING:
    from collections.abc import Mapping

_LOCALSTACK_LAUNCHER = Path(__file__).with_name("localstack_launcher.py")


class Emulator(Broker):
    """What the emulators have in common: the URL, the throwaway key, and one process."""

    access_key: ClassVar[str] = "test"
    secret_key: ClassVar[str] = "test"
    transport_options: ClassVar[Mapping[str, Any]] = {
        "region": "us-east-1",
        # One server answers for all of the service, so a look without a wait sees everything.
        "get_wait_seconds": 0,
        "wait_time_seconds": 2,
        # What a killed process held comes back after this long.
        "visibility_timeout": 8,
    }

    def __init__(self) -> None:
        self._port = 0
        self._process: ServerProcess | None = None

    def available(self) -> str | None:
        """None, or what is missing: the transport under test or the emulator."""
        if importlib.util.find_spec("kombu_sns_sqs") is None:
            return "kombu_sns_sqs can't be imported"
        return self.missing()

    def launch(self) -> None:
        """Start the emulator on a free port and wait until it listens there."""
        self._port = free_port()
        environment = plain_environment() | self.environment(self._port)
        workdir = private_directory(self.name)
        environment["HOME"] = str(workdir)
        self._process = ServerProcess(command=self.command(self._port), environment=environment, workdir=workdir)
        self._process.wait_until(lambda: listens(self._port), timeout=60)

    def stop(self) -> None:
        """Kill the emulator."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def check(self) -> None:
        """Look at the process."""
        if self._process is not None:
            self._process.check()

    @property
    def endpoint_url(self) -> str:
        """Where the emulated AWS answers, for tests that look behind the transport."""
        return f"http://127.0.0.1:{self._port}"

    def url_for(self, namespace: str) -> str:
        """A URL whose path is a name prefix: every AWS name of this test begins with it."""
        return f"sns-sqs://{self.access_key}:{self.secret_key}@127.0.0.1:{self._port}/{namespace}-"

    @abc.abstractmethod
    def missing(self) -> str | None:
        """None where the emulator is installed, else what to install."""

    @abc.abstractmethod
    def command(self, port: int) -> list[str]:
        """The command that serves on that port of 127.0.0.1."""

    def environment(self, port: int) -> dict[str, str]:
        """The variables that configure it."""
        return {}


class Ministack(Emulator):
    """ministack with AUTH=true: the one emulator that enforces queue policies on what SNS delivers."""

    name = "ministack"

    def missing(self) -> str | None:
        """None, or how to point at one."""
        return None if self._program() else "ministack is not installed and KOMBU_SNS_SQS_MINISTACK names none"

    def command(self, port: int) -> list[str]:
        """It takes everything from the environment."""
        return [str(self._program())]

    def environment(self, port: int) -> dict[str, str]:
        """Authentication on; the server process's own key is the one it accepts."""
        return {
            "AUTH": "true",
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "LOG_LEVEL": "WARNING",
            "MINISTACK_HOST": "127.0.0.1",
            "SERVICES": "sqs,sns,s3,sts",
        }

    @staticmethod
    def _program() -> str | None:
        return find_program("ministack", variable="KOMBU_SNS_SQS_MINISTACK")


class Moto(Emulator):
    """moto's server."""

    name = "moto"

    def missing(self) -> str | None:
        """None, or that it is not installed in this environment."""
        return None if self._program().exists() else "moto_server is not installed beside this Python"

    def command(self, port: int) -> list[str]:
        """Host and port are arguments."""
        return [str(self._program()), "-H", "127.0.0.1", "-p", str(port)]

    @staticmethod
    def _program() -> Path:
        return Path(sys.executable).with_name("moto_server")


class Localstack(Emulator):
    """localstack-core in host mode, which needs a Python of its own."""

    name = "localstack"
    required = False
    # It has no STS without moto, so the account has to be told, as where STS cannot be reached.
    transport_options: ClassVar[Mapping[str, Any]] = {**Emulator.transport_options, "account_id": "000000000000"}

    def missing(self) -> str | None:
        """None, or which variable must name that Python."""
        named = os.environ.get("KOMBU_SNS_SQS_LOCALSTACK_PYTHON")
        if not named:
            return "KOMBU_SNS_SQS_LOCALSTACK_PYTHON does not name a Python that has localstack-core"
        return None if Path(named).exists() else f"KOMBU_SNS_SQS_LOCALSTACK_PYTHON names {named}, which does not exist"

    def command(self, port: int) -> list[str]:
        """Through a launcher of ours: its own server would listen on every interface."""
        return [os.environ["KOMBU_SNS_SQS_LOCALSTACK_PYTHON"], "-P", str(_LOCALSTACK_LAUNCHER)]

    def environment(self, port: int) -> dict[str, str]:
        """SQS and SNS alone, loaded at once, with AWS's 60-second rules on purge and on deleted names."""
        return {
            "DISABLE_EVENTS": "1",
            "DNS_ADDRESS": "0",
            "EAGER_SERVICE_LOADING": "1",
            "GATEWAY_LISTEN": f"127.0.0.1:{port}",
            "LS_LOG": "warn",
            "SERVICES": "sqs,sns",
            "SKIP_SSL_CERT_DOWNLOAD": "1",
            "SQS_DELAY_PURGE_RETRY": "1",
            "SQS_DELAY_RECENTLY_DELETED": "1",
            "SQS_ENABLE_MESSAGE_RETENTION_PERIOD": "1",
            "SQS_ENDPOINT_STRATEGY": "path",
            "STRICT_SERVICE_LOADING": "1",
        }
