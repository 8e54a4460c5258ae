"""The emulators that can stand in for SNS and SQS on this machine: where they are found, how each is started and known.

Each runs unchanged, as its makers publish it; nothing of AWS is imitated here.
"""

from __future__ import annotations

import http.client
import importlib.util
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kombu_sns_sqs.errors import Error

if TYPE_CHECKING:
    from collections.abc import Callable

HOST = "127.0.0.1"
REGION = "us-east-1"
#: The one key the emulators are given and ask for; it opens nothing anywhere else.
ACCESS_KEY = "test"
SECRET_KEY = "test"  # noqa: S105
#: Names the ministack executable, for one that lives in an environment of its own (it pins botocore).
MINISTACK_VARIABLE = "KOMBU_SNS_SQS_MINISTACK"


class LocalServiceError(Error, RuntimeError):
    """No emulator is installed, or the one that is did not come up as it must."""


@dataclass(frozen=True, kw_only=True)
class Emulator:
    """An emulator: its name, where it answers when it is up, and how it is found and started."""

    name: str
    health_path: str
    find: Callable[[], list[str] | None]
    arguments: Callable[[int], list[str]]
    settings: Callable[[int], dict[str, str]]

    def command(self, port: int) -> list[str] | None:
        """Return the command that serves *port*, or None where the emulator is not installed.

        Raises:
            LocalServiceError: the executable named by the environment does not exist.
        """
        found = self.find()
        return found and [*found, *self.arguments(port)]

    def environment(self, port: int) -> dict[str, str]:
        """Return this process's environment with the emulator's settings, and nothing of the user's AWS account."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        throwaway = {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": REGION,
        }
        return {**inherited, **throwaway, **self.settings(port)}

    def answers(self, host: str, port: int, *, timeout: float = 1.0) -> bool:
        """Tell whether this emulator answers at *host*:*port* within *timeout* seconds."""
        connection = http.client.HTTPConnection(host, port, timeout=timeout)
        try:
            connection.request("GET", self.health_path)
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def choose(name: str | None) -> Emulator:
    """Return the emulator called *name*, or the best one installed when it is None.

    Raises:
        LocalServiceError: it is unknown or not installed; the message says how to install it.
    """
    known = {emulator.name: emulator for emulator in EMULATORS}
    if name is not None and name not in known:
        raise LocalServiceError(f"unknown emulator {name!r}: known are {', '.join(known)}")
    candidates = EMULATORS if name is None else (known[name],)
    for emulator in candidates:
        if emulator.find():
            return emulator
    wanted = " or ".join(emulator.name for emulator in candidates)
    raise LocalServiceError(f"{wanted} is not installed here: install kombu-sns-sqs with its extra 'local'")


def recognise(host: str, port: int) -> Emulator | None:
    """Return the emulator that answers at *host*:*port*, or None."""
    return next((emulator for emulator in EMULATORS if emulator.answers(host, port)), None)


def _find_ministack() -> list[str] | None:
    named = os.environ.get(MINISTACK_VARIABLE)
    if named:
        executable = shutil.which(named)
        if executable is None:
            raise LocalServiceError(f"{MINISTACK_VARIABLE} names {named!r}, which is not an executable")
        return [str(Path(executable).absolute())]
    if importlib.util.find_spec("ministack"):
        return [sys.executable, "-m", "ministack"]
    executable = shutil.which("ministack", path=str(Path(sys.executable).parent)) or shutil.which("ministack")
    return [str(Path(executable).absolute())] if executable else None


def _ministack_settings(port: int) -> dict[str, str]:
    return {
        "AUTH": "true",  # without it the policies of queues are not enforced
        "SERVICES": "sqs,sns,s3,sts",
        "BIND_HOST": HOST,
        "MINISTACK_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "LOG_LEVEL": "WARNING",
        "IOT_MTLS_ENABLED": "0",  # it listens on every interface, whatever BIND_HOST says
        "SFTP_ENABLED": "0",
        "USE_SSL": "0",
        "PERSIST_STATE": "0",
        "S3_PERSIST": "0",
        "LOCALSTACK_PERSISTENCE": "0",
    }


def _find_moto() -> list[str] | None:
    # moto alone has no server: flask comes with its extra.
    installed = importlib.util.find_spec("moto") and importlib.util.find_spec("flask")
    return [sys.executable, "-m", "moto.server"] if installed else None


MINISTACK = Emulator(
    name="ministack",
    health_path="/_ministack/ready",
    find=_find_ministack,
    arguments=lambda _: [],
    settings=_ministack_settings,
)
MOTO = Emulator(
    name="moto",
    health_path="/moto-api/data.json",
    find=_find_moto,
    arguments=lambda port: ["-H", HOST, "-p", str(port)],
    settings=lambda _: {},
)
#: The best first.
EMULATORS = (MINISTACK, MOTO)
