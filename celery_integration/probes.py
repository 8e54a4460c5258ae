"""How a worker's health is told: by a file, and over HTTP."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from typing import Any, Final

__all__ = ("Address", "HealthFile", "HealthServer", "parse_address")

#: Where to bind: a host and a port.
Address = tuple[str, int]

#: Seconds for which a client of the server may take its time.
_TIMEOUT: Final = 5.0
_OK: Final = 200
_NOT_FOUND: Final = 404
_UNAVAILABLE: Final = 503


def parse_address(text: str) -> Address:
    """Read ``host:port``; an IPv6 address stands in brackets.

    Raises:
        ValueError: it is something else.
    """
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (host and colon and port.isdigit() and int(port) < 65_536):  # noqa: PLR2004
        raise ValueError(f"the address {text!r} is not host:port, such as 127.0.0.1:8080 or 0.0.0.0:8080")
    return host, int(port)


class HealthFile:
    """A file that is there, and young, as long as all is well.

    Args:
        path: of the file; its folder must be there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pid = os.getpid()

    def tell(self, *, ready: bool) -> None:
        """Touch the file, or remove it."""
        if ready:
            self._path.touch()
        else:
            self.remove()

    def remove(self) -> None:
        """Remove the file; not in a forked child, whose parent's it is."""
        if self._pid == os.getpid():
            self._path.unlink(missing_ok=True)


class HealthServer:
    """Answers ``GET /livez`` and ``GET /readyz`` with 200 or 503, from a daemon thread.

    Args:
        address: where to bind; port 0 for any.
        tell: gives what the body says: ``live``, ``ready`` and ``complaints``.

    Raises:
        OSError: the address cannot be bound.
    """

    def __init__(self, address: Address, tell: Callable[[], dict[str, Any]]) -> None:
        self._server = _Server(address, tell)
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, name="celery-health", daemon=True).start()
        # A child of the pool would keep the port when this process has gone.
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._server.socket.close)

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: Address, tell: Callable[[], dict[str, Any]]) -> None:
        self.tell = tell
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind, without looking for the host's name, which may wait for a name server."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that go away."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _TIMEOUT

    def do_GET(self) -> None:
        """Answer."""
        told = self.server.tell()
        well = {"/livez": told["live"], "/readyz": told["ready"]}.get(self.path.partition("?")[0])
        body = json.dumps(told).encode() if well is not None else b"{}"
        self.send_response_only(_NOT_FOUND if well is None else _OK if well else _UNAVAILABLE)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 -- the name http.server looks for

    def log_message(self, *_: object) -> None:
        """Keep quiet: a probe asks every few seconds."""
