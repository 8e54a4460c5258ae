"""The relay, from the side of those who start it."""

from __future__ import annotations

import contextlib
import json
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.traffic import Traffic

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

ROOT: Final = Path(__file__).parents[1]
#: A request and an answer of the size a task has on SQS.
_REQUEST: Final = (
    b"POST / HTTP/1.1\r\nX-Amz-Target: AmazonSQS.SendMessage\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000
)
_ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n" + b"x" * 200
_CONNECTIONS: Final = 4
_TRIPS: Final = 15
#: By how much timers may be late on one round trip.
_LATE: Final = (0.0, 0.001, 0.002)


@dataclass(frozen=True)
class Capacity:
    """What the relay can do, measured on it alone.

    Attributes:
        asked: the round trip to ask it for, in seconds.
        rtt: what a round trip takes then, timers and machine included.
        requests: requests a second one relay passes on while it has a core for itself, from its CPU time.
    """

    asked: float
    rtt: float
    requests: float


class Relay:
    """A relay process, ended with the block."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.relay"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            start_new_session=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._process.stdin.close()  # type: ignore[union-attr]
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def listen(self, port: int, *, aws: bool) -> int:
        """Open a port before that port of 127.0.0.1, and return it."""
        return int(self._ask(do="listen", host="127.0.0.1", port=port, aws=aws)["port"])

    def delay(self, rtt: float) -> None:
        """Make a round trip take this many seconds, on all ports opened so far."""
        self._ask(do="delay", rtt=rtt)

    def reset(self, port: int) -> float:
        """Count from nothing on that port; return the relay's CPU seconds so far."""
        return float(self._ask(do="reset", port=port)["cpu"])

    def read(self, port: int) -> tuple[Traffic, float]:
        """What has passed that port since the last reset, and the relay's CPU seconds so far."""
        answer = self._ask(do="read", port=port)
        traffic = answer["traffic"]
        return Traffic(**{**traffic, "calls": Counter(traffic["calls"])}), float(answer["cpu"])

    def measure(self, rtt: float, requests: int) -> Capacity:
        """Measure the relay on its own, with a counterpart that answers at once.

        Timers are late by up to a millisecond each way: what comes closest to the round trip that is wanted is taken.
        """
        with socket.create_server(("127.0.0.1", 0)) as server:
            threading.Thread(target=_answer_all, args=(server,), daemon=True).start()
            port = self.listen(server.getsockname()[1], aws=True)
            trips = {asked: self._trip(port, asked) for asked in (rtt - late for late in _LATE) if asked >= 0}
            asked = min(trips, key=lambda one: abs(trips[one] - rtt))
            self.delay(0)
            before = self.reset(port)
            threads = [threading.Thread(target=_ask_many, args=(port, requests)) for _ in range(_CONNECTIONS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            spent = self.read(port)[1] - before
        rate = requests * _CONNECTIONS / max(spent, 1e-6)
        return Capacity(asked=asked, rtt=trips[asked], requests=rate)

    def _trip(self, port: int, rtt: float) -> float:
        self.delay(rtt)
        return statistics.median(_ask_many(port, _TRIPS))

    def _ask(self, **command: Any) -> dict[str, Any]:
        with self._lock:
            self._process.stdin.write(json.dumps(command).encode() + b"\n")  # type: ignore[union-attr]
            self._process.stdin.flush()  # type: ignore[union-attr]
            line = self._process.stdout.readline()  # type: ignore[union-attr]
        if not line:
            raise RuntimeError("the relay has ended")
        return dict(json.loads(line))


def _ask_many(port: int, requests: int) -> list[float]:
    trips = []
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(requests):
            begun = time.perf_counter()
            client.sendall(_REQUEST)
            _read(client, len(_ANSWER))
            trips.append(time.perf_counter() - begun)
    return trips


def _answer_all(server: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            connection, _ = server.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=_answer, args=(connection,), daemon=True).start()


def _answer(connection: socket.socket) -> None:
    with connection, contextlib.suppress(OSError):
        while _read(connection, len(_REQUEST)):
            connection.sendall(_ANSWER)


def _read(connection: socket.socket, size: int) -> bool:
    while size > 0:
        data = connection.recv(size)
        if not data:
            return False
        size -= len(data)
    return True
