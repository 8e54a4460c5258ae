"""When what is done about temporary queues: all of it in parts of the period of the signs. Pure.

With the default, a sign every seven minutes, a thousand processes write 2.5 tags a second and the sweeper reads 2.3 at
the most, and 3.1 where many have ended: SQS takes five calls on tags a second from an account.
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

#: A process that has given no sign for so many of its periods is dead, if it does not hurry when it is looked at again.
_SILENCE: Final = 1.2
#: What a stall of the sweeper's own counts for at most: the others may have stood still with it.
_STALL: Final = 0.05
#: Readings of tags in a period; and where many processes have ended at once, whose signs leave room for them.
_LOOKS: Final = 950
_MOST_LOOKS: Final = 1300
#: The shortest visibility timeout that says who sweeps, in seconds; SQS knows whole ones only.
_LEAST_LEASE: Final = 2


def silence(period: float) -> float:
    """Seconds without a sign after which a process with that period between its signs is suspected."""
    return _SILENCE * period


@dataclass(frozen=True, slots=True)
class Times:
    """The times of a process that gives a sign every ``period`` seconds. All are in seconds."""

    period: float

    def next_sign(self, chance: float) -> float:
        """From one sign to the next; ``chance``, from 0 to 1, keeps processes that began together apart."""
        return self.period * (1 - 0.1 * chance)

    @property
    def sign_again(self) -> float:
        """From a sign that failed to its repetition."""
        return self.period / 25

    @property
    def reprieve(self) -> float:
        """From the sweeper's own sign to the last look at who is suspected: room for two repetitions."""
        return self.period / 10

    @property
    def company(self) -> float:
        """For how long the dead wait for others that are removed with them."""
        return self.period / 20

    def next_try(self, chance: float) -> float:
        """From one attempt to become the sweeper to the next."""
        return self.period * (0.55 + 0.3 * chance)

    @property
    def lease(self) -> int:
        """How long nobody else sweeps after a sweeper was last heard of."""
        return max(_LEAST_LEASE, math.ceil(0.3 * self.period))

    @property
    def listing(self) -> float:
        """From one list of all temporary queues to the next."""
        return 0.4 * self.period

    def look(self, silent: int = 0) -> float:
        """From one reading of tags to the next; ``silent``: how many give no signs any more, which are calls, too."""
        return self.period / min(_LOOKS + silent, _MOST_LOOKS)

    @property
    def removal(self) -> float:
        """From one call that deletes something to the next; these are not counted as calls on tags."""
        return self.look() / 5

    @property
    def idle(self) -> float:
        """From one step of the sweeper to the next while there is nothing to do."""
        return 0.03 * self.period

    @property
    def stall(self) -> float:
        """What counts, at most, as watched between two steps of the sweeper."""
        return _STALL * self.period
