"""Names of queues and exchanges as labels of metrics, of which there may only be few. Pure."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

__all__ = ("template_of",)

_UUID: Final = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.IGNORECASE)


@lru_cache(maxsize=1024)
def template_of(name: str) -> str:
    """Put ``{uuid}`` for what is different in every process: the name of a reply queue, of an event receiver's."""
    return _UUID.sub("{uuid}", name)
