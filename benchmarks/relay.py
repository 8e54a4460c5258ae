"""The relay: a process between every contender and its broker, which adds a round trip and counts.

``python -m benchmarks.relay`` is told what to do by JSON lines on its standard input, answers each with one on its
standard output, and ends with its input. Each way takes half of the round trip, to the
millisecond. It is a delay, not a limit of the rate:
what arrives later leaves later, as much as can be read at once is passed on at once. TCP's own handshake is not
delayed, so a connection costs less here than over a real distance, for everybody.
"""

from __future__ import annotations

import abc
import asyncio
import contextlib
import json
import sys
import time
from collections import deque
from typing import Any, Final

from benchmarks.traffic import Conversation, Traffic

#: What is due within this many seconds is sent now: timers are no more precise.
_SLACK: Final = 0.0005


class Listener:
    """One port, before one broker.

    Args:
        upstream: host and port of the broker.
        aws: whether requests are AWS's, and to be counted by action.
    """

    def __init__(self, upstream: tuple[str, int], *, aws: bool) -> None:
        self.upstream = upstream
        self.aws = aws
        self.traffic = Traffic()
        self.up = self.down = 0.0

    async def open(self) -> int:
        """Listen on a free port of 127.0.0.1 and return it."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: ClientEnd(self), "127.0.0.1", 0, backlog=1024)
        return int(self._server.sockets[0].getsockname()[1])

    def reset(self) -> None:
        """Count from nothing; conversations that are under way count into the same object."""
        self.traffic.__init__()  # type: ignore[misc]


class End(asyncio.Protocol, abc.ABC):
    """One end of a relayed connection: writes what its peer reads, one way later."""

    peer: End

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._late: deque[tuple[float, bytes | None]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    @property
    @abc.abstractmethod
    def _delay(self) -> float:
        """Seconds on the way to this end."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send what has come for it meanwhile."""
        self._transport = transport  # type: ignore[assignment]
        self._send_due()

    def pass_on(self, data: bytes | None) -> None:
        """Send these bytes one way later; None closes the connection then."""
        delay = self._delay
        if not delay and not self._late and self._transport is not None:
            self._send(data)
            return
        self._late.append((self._loop.time() + delay, data))
        if self._timer is None:
            self._send_due()

    def connection_lost(self, exc: Exception | None) -> None:
        """Close the other end as well, after what is on its way."""
        self.peer.pass_on(None)

    def pause_writing(self) -> None:
        """Let whoever sends too much feel it."""
        if self.peer._transport is not None:  # noqa: SLF001 - the other end of the same connection
            self.peer._transport.pause_reading()  # noqa: SLF001

    def resume_writing(self) -> None:
        """Take more."""
        with contextlib.suppress(RuntimeError):
            if self.peer._transport is not None:  # noqa: SLF001
                self.peer._transport.resume_reading()  # noqa: SLF001

    def _send(self, data: bytes | None) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if data is None:
            self._transport.close()
        else:
            self._transport.write(data)

    def _send_due(self) -> None:
        self._timer = None
        if self._transport is None:
            return
        now = self._loop.time() + _SLACK
        while self._late and self._late[0][0] <= now:
            self._send(self._late.popleft()[1])
        if self._late:
            self._timer = self._loop.call_at(self._late[0][0], self._send_due)


class ClientEnd(End):
    """The end a client has connected to."""

    @property
    def _delay(self) -> float:
        return self._listener.down

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connect to the broker."""
        super().connection_made(transport)
        self._conversation = Conversation(self._listener.traffic, aws=self._listener.aws)
        self.peer = BrokerEnd(self._listener, self)
        self._connecting = self._loop.create_task(self._connect())

    def data_received(self, data: bytes) -> None:
        """Count and pass on what the client says."""
        self._conversation.said_by_client(data)
        self.peer.pass_on(data)

    def answered(self, data: bytes) -> None:
        """Count and pass back what the broker says."""
        self._conversation.said_by_broker(data)
        self.pass_on(data)

    async def _connect(self) -> None:
        try:
            await self._loop.create_connection(lambda: self.peer, *self._listener.upstream)
        except OSError:
            self.pass_on(None)


class BrokerEnd(End):
    """The end that is connected to the broker."""

    peer: ClientEnd

    def __init__(self, listener: Listener, client: ClientEnd) -> None:
        super().__init__(listener)
        self.peer = client

    @property
    def _delay(self) -> float:
        return self._listener.up

    def data_received(self, data: bytes) -> None:
        """Hand over what the broker says."""
        self.peer.answered(data)


class Control:
    """Carries out what the lines on standard input ask for."""

    def __init__(self) -> None:
        self._listeners: dict[int, Listener] = {}

    async def obey(self, command: dict[str, Any]) -> dict[str, Any]:
        """Do one command: ``listen``, ``delay``, ``reset`` or ``read``."""
        match command:
            case {"do": "listen", "host": host, "port": port, "aws": aws}:
                listener = Listener((host, port), aws=aws)
                opened = await listener.open()
                self._listeners[opened] = listener
                return {"port": opened}
            case {"do": "delay", "rtt": seconds}:
                for listener in self._listeners.values():
                    # Timers count in whole milliseconds: two halves of an odd number would both be rounded up.
                    listener.up = int(seconds * 500) / 1000
                    listener.down = seconds - listener.up
                return {}
            case {"do": "reset", "port": port}:
                self._listeners[port].reset()
                return {"cpu": time.process_time()}
            case {"do": "read", "port": port}:
                return {"cpu": time.process_time(), "traffic": vars(self._listeners[port].traffic)}
        raise ValueError(f"not a command: {command}")


async def _main() -> None:
    control = Control()
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        print(json.dumps(await control.obey(json.loads(line))), flush=True)


def main() -> None:
    """Serve until standard input ends; on uvloop where it is installed."""
    try:
        import uvloop  # noqa: PLC0415 - an extra
    except ImportError:
        asyncio.run(_main())
    else:
        uvloop.run(_main())


if __name__ == "__main__":
    main()
