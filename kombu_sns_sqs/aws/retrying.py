"""How long to wait before the next attempt. Pure: the caller sleeps, and brings the chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("Backoff",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Exponential back-off with full jitter.

    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/

    Args:
        base: seconds that bound the first delay, above 0.
        cap: seconds that bound every delay, at least ``base``.
        attempts: requests in all, the first included, at least 1.

    Raises:
        ValueError: a number out of its range.
    """

    base: float = 0.1
    cap: float = 5.0
    attempts: int = 5

    def __post_init__(self) -> None:
        """Refuse what would never wait, or never try."""
        if not 0 < self.base <= self.cap:
            raise ValueError(f"base {self.base} and cap {self.cap}: 0 < base <= cap is needed")
        if self.attempts < 1:
            raise ValueError(f"{self.attempts} attempts: at least 1 is needed")

    def delay(self, attempt: int, random: Callable[[], float]) -> float:
        """Give the seconds to wait after the failure of attempt number ``attempt``, the first being 1.

        ``random`` gives a number of [0, 1).
        """
        # Past 2**32 the cap has long been reached, and a float would overflow after days of failures.
        ceiling = self.base * 2.0 ** min(attempt - 1, 32)
        return min(self.cap, ceiling) * random()
