"""A sign of life: a count that a process raises in a tag of one of its queues, and how often it does so. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_SIGN: Final = re.compile(r"(\d{1,15})/(\d{1,9}(?:\.\d{1,6})?)")


@dataclass(frozen=True, slots=True)
class LifeSign:
    """What the tag ``kombu:sign`` says.

    Args:
        count: how many signs the process has given before; a queue is born with 0.
        period: seconds between two signs of that process, at most.
    """

    count: int
    period: float

    def __str__(self) -> str:
        """Write it as the tag has it."""
        return f"{self.count}/{self.period:.6f}".rstrip("0").rstrip(".")

    @classmethod
    def parse(cls, tag: str | None) -> LifeSign | None:
        """Read a tag; None where it is no sign: whoever made the queue gives none, and is not to be judged by them."""
        found = _SIGN.fullmatch(tag or "")
        return None if found is None else cls(count=int(found[1]), period=float(found[2]))
