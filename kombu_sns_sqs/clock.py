"""The clock that leases are reckoned by: it goes on while the machine is suspended, as SQS does."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Final

#: Gives seconds since a point that never changes.
Clock = Callable[[], float]


#: Linux's monotonic clock stands still in a suspended machine: every lease would look fresh when it wakes up.
#: https://www.man7.org/linux/man-pages/man2/clock_gettime.2.html
lease_clock: Final[Clock] = (
    partial(time.clock_gettime, time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic
)
