"""Elections among workers whose messages overtake each other, in virtual time and with Celery's own gossip."""

from __future__ import annotations

import heapq
import itertools
import random
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest
from celery.worker.consumer.gossip import Gossip
from kombu.clocks import LamportClock

from celery_integration.elections import _Patient

if TYPE_CHECKING:
    from collections.abc import Callable

WORKERS = 4


class World:
    """Virtual time, and a network that takes up to a second and keeps no order."""

    def __init__(self, seed: int, *, patient: bool) -> None:
        self._random = random.Random(seed)
        self._order = itertools.count()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._now = 0.0
        self.winners: list[str] = []
        self.workers = [self._worker(f"w{number}", patient) for number in range(WORKERS)]

    def _worker(self, name: str, patient: bool) -> Gossip:
        gossip = Gossip.__new__(Gossip)
        gossip.full_hostname = f"{name}.1"
        gossip.clock = LamportClock()
        gossip.consensus_requests = defaultdict(list)
        gossip.consensus_replies = {}
        gossip.election_handlers = {"task": self.winners.append}
        gossip.state = type("State", (), {"alive_workers": lambda _: range(WORKERS - 1)})()
        dispatcher = Dispatcher(self, name, gossip.clock)
        gossip.dispatcher = _Patient(dispatcher, self) if patient else dispatcher
        return gossip

    def call_after(self, seconds: float, call: Callable[..., None], args: tuple[Any, ...], kwargs: Any) -> None:
        """Do as a timer of kombu's."""
        heapq.heappush(self._due, (self._now + seconds, next(self._order), lambda: call(*args, **kwargs)))

    def publish(self, event: dict[str, Any]) -> None:
        """Deliver an event to every worker, to each at some time."""
        for worker in self.workers:
            self.call_after(self._random.uniform(0, 1), self._deliver, (worker, event), {})

    @staticmethod
    def _deliver(worker: Gossip, event: dict[str, Any]) -> None:
        worker.clock.adjust(event["clock"])
        if event["type"] == "worker-elect":
            worker.on_elect(event)
        else:
            worker.on_elect_ack(event)

    def run(self) -> None:
        """Have all of them hold an election, begun by a command that reaches each at some time; see it to its end."""
        for worker in self.workers:
            self.call_after(self._random.uniform(0, 0.5), worker.election, ("id", "task", "action"), {})
        while self._due:
            self._now, _, call = heapq.heappop(self._due)
            call()


class Dispatcher:
    """A dispatcher of one worker's events."""

    def __init__(self, world: World, name: str, clock: LamportClock) -> None:
        self._world = world
        self._name = name
        self._clock = clock

    def send(self, type: str, **fields: Any) -> None:  # noqa: A002 -- Celery's own word
        """Send an event."""
        event = {"type": type, "hostname": self._name, "pid": 1, "clock": self._clock.forward(), **fields}
        self._world.publish(event)


def winners(seed: int, *, patient: bool) -> int:
    """Count the winners of an election; less than none where a worker comes to grief."""
    world = World(seed, patient=patient)
    try:
        world.run()
    except IndexError:
        return -1
    return len(world.winners)


@pytest.mark.parametrize("seed", range(40))
def test_a_patient_election_has_one_winner(seed: int) -> None:
    """Whatever order the network has."""
    assert winners(seed, patient=True) == 1


def test_an_election_as_celery_holds_it_may_have_none_or_two_or_raise_an_error() -> None:
    """Which is why there are patient ones."""
    assert {winners(seed, patient=False) for seed in range(200)} >= {-1, 0, 2}
