"""What calls of remote control are answered to: keys that name a reply queue, and which of its calls is meant.

Kombu makes up a key for each call, a UUID, and the reply queue is named after it. Here a channel keeps one queue for
all its calls, one after the other. So a key of ours is a UUID in two parts: the queue, and the number of the call. It
is as long as kombu's, which it replaces in the command, and of the version that RFC 9562 leaves to applications, 8,
which kombu's never are.
"""

from __future__ import annotations

import re
from typing import Final

#: Hexadecimal digits that name a queue, and those that number its calls.
TOKEN_DIGITS: Final = 22
_CALL_DIGITS: Final = 8

_OURS: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}")


def reply_key(token: str, call: int = 0) -> str:
    """Make the key of a call; that of call 0 is the one the queue is named after.

    Args:
        token: 22 random hexadecimal digits, in lower case, which name the queue.
        call: which of its calls, counted modulo 2 to the 32nd.
    """
    number = f"{call % 16**_CALL_DIGITS:0{_CALL_DIGITS}x}"
    return f"{token[:8]}-{token[8:12]}-8{token[12:15]}-8{token[15:18]}-{token[18:22]}{number}"


def queue_key(key: str) -> str:
    """Give the key that a reply queue is named after: kombu's own as it is, one of ours without the number."""
    return key[:-_CALL_DIGITS] + "0" * _CALL_DIGITS if _OURS.fullmatch(key) else key
