"""A running emulator: started, waited for, checked, and stopped."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from kombu_sns_sqs.local import sockets
from kombu_sns_sqs.local.emulators import (
    ACCESS_KEY,
    HOST,
    REGION,
    SECRET_KEY,
    Emulator,
    LocalServiceError,
    choose,
    recognise,
)

if TYPE_CHECKING:
    from types import TracebackType
    from typing import IO

    from typing_extensions import Self

#: How the processes of one tree find the same service: set by the first that starts one.
ENDPOINT_VARIABLE = "KOMBU_SNS_SQS_LOCAL_ENDPOINT"

_KEEPER = Path(__file__).with_name("keeper.py")
_ATTEMPTS = 3
_LOOK_EVERY_SECONDS = 0.05
_STOP_SECONDS = 10.0
_LOG_TAIL_BYTES = 4_000


@dataclass(frozen=True, kw_only=True, eq=False)
class LocalService:
    """A running emulator of SNS and SQS.

    Started by :meth:`start`; it ends with :meth:`stop`, with the ``with`` block, or with the process that started it,
    however that ends. Only that process stops it: a forked child that calls :meth:`stop`, or exits, leaves it alone.
    """

    #: Where it answers, for instance ``http://127.0.0.1:40123``.
    endpoint_url: str
    #: ``ministack`` or ``moto``.
    emulator: str
    #: The emulator's process id; None for a service that another process started.
    pid: int | None = None
    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY
    region: str = REGION
    _keeper: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _owner: int = field(default_factory=os.getpid, repr=False)

    @classmethod
    def start(cls, port: int | None = None, emulator: str | None = None, timeout: float = 30) -> LocalService:
        """Start an emulator on 127.0.0.1 and return when it answers.

        Args:
            port: where it shall listen, 1 to 65535; a free one is chosen when None.
            emulator: ``ministack`` or ``moto``; the first of them that is installed when None.
            timeout: seconds to wait for its first answer.

        Raises:
            LocalServiceError: none is installed, it ended or did not answer in time (the message has the end of what it
                wrote), or it listens on more than the loopback interface.
        """
        chosen = choose(emulator)
        deadline = time.monotonic() + timeout
        for _ in range(_ATTEMPTS - 1 if port is None else 0):
            # Between our look for a free port and the emulator's bind, another process may take the port.
            with contextlib.suppress(_EndedError):
                return _launch(chosen, _free_port(), deadline)
        return _launch(chosen, port or _free_port(), deadline)

    @property
    def broker_url(self) -> str:
        """The URL that leads kombu and Celery to this service."""
        return f"sns-sqs://{self.access_key}:{self.secret_key}@{urlsplit(self.endpoint_url).netloc}"

    @property
    def running(self) -> bool:
        """Whether it can be used now."""
        if self._keeper is not None and self._owner == os.getpid():
            return self._keeper.poll() is None
        return answering(self.endpoint_url) is not None

    def wait(self) -> int:
        """Block until the emulator has ended, and return its exit status; started here only."""
        if self._keeper is None or self._owner != os.getpid():
            raise LocalServiceError(f"{self.endpoint_url} was started by another process")
        return self._keeper.wait()

    def stop(self) -> None:
        """End the emulator, and return when it is gone; without effect in any process but the one that started it."""
        if self._keeper is None or self._owner != os.getpid():
            return
        atexit.unregister(self.stop)
        if os.environ.get(ENDPOINT_VARIABLE) == self.endpoint_url:
            del os.environ[ENDPOINT_VARIABLE]
        _end(self._keeper)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


class _EndedError(LocalServiceError):
    """The emulator ended before it answered."""


def answering(endpoint: str) -> Emulator | None:
    """Return the emulator that answers at *endpoint*, a URL like ``http://127.0.0.1:40123``, or None.

    Raises:
        LocalServiceError: the URL leads off this machine.
    """
    url = urlsplit(endpoint)
    if url.scheme != "http" or url.hostname not in {HOST, "localhost", "::1"} or url.port is None:
        raise LocalServiceError(f"{endpoint!r} is not the http URL of a port on the loopback interface")
    return recognise(url.hostname, url.port)


def _launch(emulator: Emulator, port: int, deadline: float) -> LocalService:
    command = emulator.command(port)
    with tempfile.TemporaryFile() as output:
        keeper = subprocess.Popen(  # noqa: S603 - the emulator and its arguments are our own choice
            [sys.executable, "-I", str(_KEEPER), str(os.getpid()), *(command or ())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=output,
            env=emulator.environment(port),
            start_new_session=True,  # a Ctrl-C in the terminal is for the application, which then stops us
        )
        try:
            pid = _read_pid(keeper, output)
            _wait_until_up(emulator, port, keeper, deadline, output)
        except BaseException:
            _end(keeper)
            raise
    service = LocalService(endpoint_url=f"http://{HOST}:{port}", emulator=emulator.name, pid=pid, _keeper=keeper)
    atexit.register(service.stop)
    return service


def _read_pid(keeper: subprocess.Popen[bytes], output: IO[bytes]) -> int:
    with keeper.stdout or contextlib.nullcontext() as pipe:
        line = pipe.readline() if pipe else b""
    if not line:
        raise _EndedError(f"the emulator could not be started:\n{_tail(output)}")
    return int(line)


def _wait_until_up(
    emulator: Emulator, port: int, keeper: subprocess.Popen[bytes], deadline: float, output: IO[bytes]
) -> None:
    while not _is_up(emulator, port, keeper.pid):
        if keeper.poll() is not None:
            raise _EndedError(f"{emulator.name} ended with status {keeper.returncode}:\n{_tail(output)}")
        if time.monotonic() > deadline:
            raise LocalServiceError(f"{emulator.name} does not answer on port {port}:\n{_tail(output)}")
        time.sleep(_LOOK_EVERY_SECONDS)


def _is_up(emulator: Emulator, port: int, session: int) -> bool:
    answers = emulator.answers(HOST, port)
    # Looked at after the answer: by then every listener that comes with a start is there.
    ports = sockets.listening(session)
    if ports is None:
        return answers
    exposed = sorted(number for number, loopback_only in ports.items() if not loopback_only)
    if exposed:
        raise LocalServiceError(f"{emulator.name} listens beyond the loopback interface, on {exposed}: stopped")
    return answers and port in ports  # else it is somebody else who answers there


def _tail(output: IO[bytes]) -> str:
    # Read by position: the emulator writes at the same file's offset.
    size = os.fstat(output.fileno()).st_size
    return os.pread(output.fileno(), _LOG_TAIL_BYTES, max(0, size - _LOG_TAIL_BYTES)).decode(errors="replace")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _end(keeper: subprocess.Popen[bytes]) -> None:
    keeper.terminate()
    try:
        keeper.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(keeper.pid, signal.SIGKILL)
        keeper.wait()
