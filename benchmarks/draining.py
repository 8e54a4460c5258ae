"""A worker empties a backlog, from the moment it consumes to the end of the last task: used by several benchmarks."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from benchmarks.testbed import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.contenders import Contender
    from benchmarks.testbed import Testbed
    from benchmarks.traffic import Traffic

#: Acks are batched, so the last ones go out a moment after the last task: this long without a call, and all are out.
_QUIET: Final = 0.4


@dataclass(frozen=True)
class Drained:
    """What it took.

    Attributes:
        tasks: how many there were.
        seconds: from the first moment of consuming to the end of the last task.
        cpu: CPU seconds of the worker's main process in that time.
        broker_cpu: CPU seconds of the broker's processes, the worker's start included.
        relay_cpu: those of the relay.
        traffic: all that passed, the worker's start and the last acks included.
    """

    tasks: int
    seconds: float
    cpu: float
    broker_cpu: float
    relay_cpu: float
    traffic: Traffic

    @property
    def rate(self) -> float:
        """Tasks a second."""
        return self.tasks / self.seconds

    @property
    def cpu_a_task(self) -> float:
        """Microseconds of the main process's CPU."""
        return self.cpu / self.tasks * 1e6

    @property
    def cpu_elsewhere(self) -> float:
        """Microseconds of broker and relay: what the same machine had to do besides."""
        return (self.broker_cpu + self.relay_cpu) / self.tasks * 1e6

    @property
    def calls_a_task(self) -> float:
        """Requests of the data plane, idle polls left out."""
        return self.traffic.data_calls / self.tasks


def drain(
    testbed: Testbed, contender: Contender, *, queue: str, tasks: int, rtt: float, queues: Sequence[str] = ()
) -> Drained:
    """Let a new worker run so many tasks that are waiting in `queue`, or in `queues`."""
    with (
        testbed.round_trip(rtt),
        testbed.phase(contender) as phase,
        testbed.worker(contender, queue, queues=queues) as worker,
    ):
        begun, cpu_at_begin = worker.wait_until_ready()
        worker.wait_until_done(tasks, timeout=PATIENCE)
        # In ticks of 10 ms, which a few tasks may not fill: the difference of two floats is then a little off zero.
        seconds, cpu = time.monotonic() - begun, max(0.0, worker.cpu - cpu_at_begin)
        settle(testbed, contender)
    return Drained(
        tasks=tasks,
        seconds=seconds,
        cpu=cpu,
        broker_cpu=phase.server_cpu,
        relay_cpu=phase.relay_cpu,
        traffic=phase.traffic,
    )


def settle(testbed: Testbed, contender: Contender) -> None:
    """Wait until a contender has nothing more to say of what was done."""
    seen, since = -1, time.monotonic()
    while time.monotonic() - since < _QUIET:
        time.sleep(_QUIET / 8)
        calls = testbed.traffic(contender).data_calls
        if calls != seen:
            seen, since = calls, time.monotonic()
