"""Where the processes of a session listen, as Linux tells it in ``/proc``."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_PROC = Path("/proc")
_LISTENING = "0A"
# `man 5 proc_net <https://man7.org/linux/man-pages/man5/proc_net.5.html>`_: addresses are 32-bit words in the byte
# order of the machine, so 127.0.0.1 is 0100007F on a little-endian one and 7F000001 on a big-endian one.
_LOOPBACK = re.compile(
    r"[0-9A-F]{6}7F|0{24}01000000|0{16}FFFF0000[0-9A-F]{6}7F"
    if sys.byteorder == "little"
    else r"7F[0-9A-F]{6}|0{31}1|0{20}FFFF7F[0-9A-F]{6}"
)


def listening(session: int) -> Mapping[int, bool] | None:
    """Return the TCP ports on which processes of a *session* listen, each with "on loopback only".

    None where the system has no ``/proc/net/tcp`` to tell.
    """
    if not (_PROC / "net" / "tcp").exists():
        return None
    ours = set(_socket_inodes(session))
    ports: dict[int, bool] = {}
    for address, port, inode in _listening_sockets():
        if inode in ours:
            ports[port] = ports.get(port, True) and on_loopback(address)
    return ports


def on_loopback(address: str) -> bool:
    """Tell whether *address*, in the kernel's hexadecimal form, is in 127.0.0.0/8, mapped to IPv6 or not, or is ::1."""
    return _LOOPBACK.fullmatch(address) is not None


def _listening_sockets() -> Iterator[tuple[str, int, str]]:
    for table in ("tcp", "tcp6"):
        path = _PROC / "net" / table
        for line in path.read_text().splitlines()[1:] if path.exists() else ():
            _, local, _, state, *rest = line.split()
            if state == _LISTENING:
                address, port = local.split(":")
                yield address, int(port, 16), f"socket:[{rest[5]}]"


def _socket_inodes(session: int) -> Iterator[str]:
    for process in _PROC.glob("[0-9]*"):
        # Processes end and files are closed while we look: the next look will see the rest.
        with contextlib.suppress(OSError):
            if os.getsid(int(process.name)) == session:
                yield from (str(descriptor.readlink()) for descriptor in (process / "fd").iterdir())
