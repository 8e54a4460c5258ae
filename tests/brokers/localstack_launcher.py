"""Starts localstack-core with every listening socket forced to 127.0.0.1.

Its default server ignores the host named by ``GATEWAY_LISTEN`` and listens on all interfaces; no test service of ours
may be reached from outside, so the address is replaced where sockets are bound.
"""

from __future__ import annotations

import runpy
import socket
from typing import Any

_EVERYWHERE = {"", "0.0.0.0", "::"}


class LoopbackSocket(socket.socket):
    """A socket that binds to loopback whatever it is told."""

    def bind(self, address: Any) -> None:
        """Bind to the port asked for, on 127.0.0.1 (::1 for IPv6)."""
        if isinstance(address, tuple) and address[0] in _EVERYWHERE:
            loopback = "::1" if self.family == socket.AF_INET6 else "127.0.0.1"
            address = (loopback, *address[1:])
        super().bind(address)


if __name__ == "__main__":
    socket.socket = LoopbackSocket  # type: ignore[misc]
    runpy.run_module("localstack.runtime.main", run_name="__main__", alter_sys=True)
