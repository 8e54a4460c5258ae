"""A relay in front of an endpoint that does to its requests what networks and AWS do on a bad day.

It passes everything on unchanged, the Host header too, since that is signed. A fault applies to one action, for a
number of requests or until it is cleared::

    with Relay(endpoint_url) as relay:
        relay.fault("SendMessage", Throttled(), times=2)
        ...  # with relay.url as the endpoint
        assert relay.calls["SendMessage"] == 3
"""

from __future__ import annotations

import http.client
import socket
import threading
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from typing import Self

    from tests.faults.weather import Fault

#: Headers that speak of one connection, and are not passed on.
_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@dataclass(frozen=True)
class Request:
    """What a client sent."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def service(self) -> str:
        """``sqs`` or ``sns``, by the protocol."""
        return "sqs" if "x-amz-target" in self.headers else "sns"

    @property
    def action(self) -> str:
        """The API action, of either protocol; empty for what is neither."""
        target = self.headers.get("x-amz-target", "")
        if target:
            return target.rpartition(".")[2]
        return parse_qs(self.body.decode("utf-8", "replace")).get("Action", [""])[0]


@dataclass(frozen=True)
class Answer:
    """What a client gets."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class _Rule:
    fault: Fault
    left: int | None


class Relay:
    """A relay on a free port of 127.0.0.1, in threads of this process.

    Args:
        upstream: the URL of the endpoint behind.
    """

    def __init__(self, upstream: str) -> None:
        self.upstream = urlsplit(upstream)
        #: Requests by action, as they came in; and as they were answered by the endpoint behind.
        self.calls: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        #: Connections that were accepted.
        self.connections = 0
        #: Set when whoever hangs should let go.
        self.released = threading.Event()
        self._changed = threading.Condition()
        self._rules: dict[str, list[_Rule]] = {}
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.relay = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """The endpoint to give to clients."""
        return "http://{}:{}".format(*self._server.server_address[:2])

    def fault(self, action: str, fault: Fault, *, times: int | None = None) -> None:
        """Apply ``fault`` to the next ``times`` requests for ``action``, None: to all; after those set before."""
        with self._changed:
            self._rules.setdefault(action, []).append(_Rule(fault, times))

    def clear(self) -> None:
        """Let all requests through from now on, those that hang included."""
        with self._changed:
            self._rules.clear()
        self.released.set()
        self.released = threading.Event()

    def wait_for(self, action: str, calls: int, *, within: float = 10.0) -> bool:
        """Wait until ``action`` has been asked for ``calls`` times; False if it was not in time."""
        with self._changed:
            return self._changed.wait_for(lambda: self.calls[action] >= calls, within)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def handle(self, request: Request) -> Answer | None:
        """Answer a request; None: cut the connection."""
        with self._changed:
            self.calls[request.action] += 1
            fault = self._next_fault(request.action)
            self._changed.notify_all()
        return self.forward(request) if fault is None else fault.apply(request, self)

    def forward(self, request: Request) -> Answer:
        """Ask the endpoint behind."""
        connection = http.client.HTTPConnection(self.upstream.hostname or "", self.upstream.port, timeout=60)
        try:
            headers = {name: value for name, value in request.headers.items() if name not in _HOP}
            connection.request(request.method, request.path, request.body, headers)
            response = connection.getresponse()
            body = response.read()
        finally:
            connection.close()
        with self._changed:
            self.answered[request.action] += 1
            self._changed.notify_all()
        kept = {name: value for name, value in response.getheaders() if name.lower() not in _HOP}
        return Answer(response.status, body, kept)

    def _next_fault(self, action: str) -> Fault | None:
        rules = self._rules.get(action, [])
        while rules:
            rule = rules[0]
            if rule.left is None:
                return rule.fault
            if rule.left > 0:
                rule.left -= 1
                return rule.fault
            rules.pop(0)
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    relay: Relay

    def process_request(self, request: Any, client_address: Any) -> None:
        """Count, in the one thread that accepts."""
        self.relay.connections += 1
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that go away are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        """Relay one request."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.relay.handle(Request(self.command, self.path, headers, body))
        if answer is None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    do_GET = do_POST  # noqa: N815 -- the name http.server looks for

    def log_message(self, *_: object) -> None:
        """Keep quiet."""
