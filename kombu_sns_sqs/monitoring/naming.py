"""Names of queues and exchanges as labels of metrics, of which there may only be few. Pure."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

__all__ = ("template_of",)

_UUID: Final = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.IGNORECASE)
#: The name of a worker's node, before the rest of its mailbox's: new ones come with each deployment, in a cluster.
_NODE: Final = re.compile(r"^[^@]+@.+(?=\.[^.]+\.pidbox$)")


@lru_cache(maxsize=1024)
def template_of(name: str) -> str:
    """Put ``{uuid}`` and ``{node}`` for what is different in every process: in names of reply queues and mailboxes."""
    return _NODE.sub("{node}", _UUID.sub("{uuid}", name))
