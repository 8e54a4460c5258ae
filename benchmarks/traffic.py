"""What a stream of bytes between a client and a broker says, without a socket: pure.

AWS's requests are HTTP/1.1, one after the other on a connection, so the nth answer belongs to the nth request. A
request is counted when it is answered, under its action; a ReceiveMessage that brought nothing is an idle poll, and
counted apart: how many of those there are depends on how long one looks, not on how many messages there are.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Final

#: The name idle polls are counted under.
IDLE_POLL: Final = "ReceiveMessage (idle)"
#: Actions that carry messages, or what becomes of them; all others set things up.
DATA_PLANE: Final = frozenset(
    {
        "ChangeMessageVisibility",
        "ChangeMessageVisibilityBatch",
        "DeleteMessage",
        "DeleteMessageBatch",
        "Publish",
        "PublishBatch",
        "ReceiveMessage",
        "SendMessage",
        "SendMessageBatch",
    }
)

_END_OF_HEAD: Final = b"\r\n\r\n"
_LENGTH: Final = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
_CHUNKED: Final = re.compile(rb"\r\ntransfer-encoding:\s*chunked", re.IGNORECASE)
_TARGET: Final = re.compile(rb"\r\nx-amz-target:\s*\S*?([A-Za-z]+)\r\n", re.IGNORECASE)
_QUERY: Final = re.compile(rb"(?:^|[&?])Action=([A-Za-z]+)")


class HttpStream:
    """Cuts one direction of an HTTP/1.1 connection into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        """Take bytes in; return the messages they complete, as head and body."""
        self._buffer += data
        messages = []
        while (message := self._next()) is not None:
            messages.append(message)
        return messages

    def _next(self) -> tuple[bytes, bytes] | None:
        end = self._buffer.find(_END_OF_HEAD)
        if end < 0:
            return None
        head = bytes(self._buffer[: end + 2])
        start = end + len(_END_OF_HEAD)
        if _CHUNKED.search(head):
            stop = self._end_of_chunks(start)
        else:
            length = _LENGTH.search(head)
            stop = start + (int(length[1]) if length else 0)
        if stop is None or stop > len(self._buffer):
            return None
        body = bytes(self._buffer[start:stop])
        del self._buffer[:stop]
        return head, body

    def _end_of_chunks(self, start: int) -> int | None:
        while (line := self._buffer.find(b"\r\n", start)) >= 0:
            size = int(self._buffer[start:line].split(b";")[0], 16)
            start = line + 2 + size + 2
            if start > len(self._buffer):
                return None
            if size == 0:
                return start
        return None


@dataclass
class Traffic:
    """What has passed one listener of the relay since the last reset.

    Attributes:
        calls: answered requests by AWS action; empty where the protocol is not AWS's.
        bytes_up: bytes from clients to the broker.
        bytes_down: bytes from the broker to clients.
        writes_up: pieces those bytes came in: a lower bound of the clients' writes.
        writes_down: likewise for the broker's.
    """

    calls: Counter[str] = field(default_factory=Counter)
    bytes_up: int = 0
    bytes_down: int = 0
    writes_up: int = 0
    writes_down: int = 0

    @property
    def data_calls(self) -> int:
        """Requests of the data plane that were not idle polls."""
        return sum(count for action, count in self.calls.items() if action in DATA_PLANE)


class Conversation:
    """Follows one connection and counts into a `Traffic`."""

    def __init__(self, traffic: Traffic, *, aws: bool) -> None:
        self._traffic = traffic
        self._aws = aws
        self._up, self._down = HttpStream(), HttpStream()
        self._asked: deque[str] = deque()

    def said_by_client(self, data: bytes) -> None:
        """Take in what a client sent."""
        self._traffic.bytes_up += len(data)
        self._traffic.writes_up += 1
        if self._aws:
            self._asked.extend(action_of(head, body) for head, body in self._up.feed(data))

    def said_by_broker(self, data: bytes) -> None:
        """Take in what the broker sent."""
        self._traffic.bytes_down += len(data)
        self._traffic.writes_down += 1
        if not self._aws:
            return
        for head, body in self._down.feed(data):
            if head[9:10] == b"1" or not self._asked:  # 1xx announces an answer, and is none
                continue
            action = self._asked.popleft()
            if action == "ReceiveMessage" and b"ReceiptHandle" not in body:
                action = IDLE_POLL
            self._traffic.calls[action] += 1


def action_of(head: bytes, body: bytes) -> str:
    """The AWS action of a request, of the JSON protocol or the query protocol; ``unknown`` if it is neither."""
    found = _TARGET.search(head) or _QUERY.search(body) or _QUERY.search(head.partition(b" HTTP/")[0])
    return found[1].decode() if found else "unknown"
