"""Celery workers in virtual time, as far as queues and topics go.

What names, binds, gives signs of life and sweeps is the code that runs in production; messages are not simulated.
"""

from __future__ import annotations

import heapq
import itertools
import random
from typing import TYPE_CHECKING

from kombu_sns_sqs.janitor import Janitor
from kombu_sns_sqs.options import Options
from kombu_sns_sqs.sweeping.sweeper import Sweeper
from kombu_sns_sqs.topology.entities import QueueDeclaration
from kombu_sns_sqs.topology.wiring import Topology
from tests.simulation.account import Account

if TYPE_CHECKING:
    from collections.abc import Callable

OPTIONS = Options(queue_name_prefix="app-", queue_settling=0)


class World:
    """Virtual time, and what happens in it."""

    def __init__(self, seed: int) -> None:
        self.now = 0.0
        self.dice = random.Random(seed)
        self.account = Account(lambda: self.now)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def at(self, moment: float, event: Callable[[], None]) -> None:
        """Have something happen."""
        heapq.heappush(self._events, (moment, next(self._order), event))

    def run(self, until: float) -> None:
        """Let time pass."""
        while self._events and self._events[0][0] <= until:
            self.now, _, event = heapq.heappop(self._events)
            event()
        self.now = until


class VirtualThread:
    """What stands for the threads of a process: its jobs end with it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.alive = True

    def call_later(self, delay: float, job: Callable[[], None]) -> None:
        """Run a job in ``delay`` seconds, if the process lives."""
        self._world.at(self._world.now + delay, lambda: job() if self.alive else None)

    def stop(self, timeout: float) -> None:
        """Run no more."""
        self.alive = False


class Worker:
    """A Celery worker with remote control and events; ``life`` tells processes of one name apart."""

    def __init__(self, world: World, number: int, options: Options = OPTIONS, *, life: int = 0) -> None:
        self.name = f"w{number:04}"
        self._world = world
        self._life = life
        self.thread = VirtualThread(world)
        control = world.account.control(self.name)
        self.topology = Topology(control=control, housekeeper=self.thread, options=options)
        self.owner = self.topology.owner
        self.provisioner = self.topology.provisioner
        self.directory = self.topology.directory
        self.binder = self.topology.binder
        #: Temporary queues that were taken from it.
        self.missed: list[str] = []
        self.sweeper = Sweeper(
            control=control,
            directory=self.directory,
            subscriptions=self.topology.subscriptions,
            temporaries=self.provisioner.temporary,
            owner=self.owner,
            on_gone=lambda queue: self.missed.append(queue.name),
            options=options,
            thread=self.thread,
            clock=lambda: world.now,
            chance=world.dice.random,
            lease_clock=lambda: world.now,
        )
        self.provisioner.temporary.on_added = self.sweeper.start
        self.janitor = Janitor(
            provisioner=self.provisioner, control=control, timeout=10, call_later=self.thread.call_later
        )

    def start(self) -> None:
        """Declare what a worker declares: its queue, its mailbox, a queue for replies, the exchange of the events."""
        shared = {"durable": True, "exclusive": False, "auto_delete": False, "arguments": None}
        private = {"durable": False, "exclusive": True, "auto_delete": True, "arguments": None}
        self.provisioner.declare_exchange("celery", "direct")
        self.provisioner.declare_queue(QueueDeclaration.read("celery", **shared))
        self.provisioner.bind("celery", "celery", "celery")
        mailbox = f"{self.name}@host.celery.pidbox"
        self.provisioner.declare_exchange("celery.pidbox", "fanout")
        self.provisioner.declare_queue(QueueDeclaration.read(mailbox, **private))
        self.provisioner.bind(mailbox, "celery.pidbox", "")
        replies = f"00000000-0000-4000-8{self._life:03}-{self.name[1:]:>012}.reply.celery.pidbox"
        self.provisioner.declare_queue(QueueDeclaration.read(replies, **private))
        self.provisioner.bind(replies, "reply.celery.pidbox", replies.partition(".")[0])
        self.provisioner.declare_exchange("celeryev", "topic")

    def end(self) -> None:
        """End in order."""
        self.janitor.close_process()
        self.sweeper.stop(0)

    def kill(self) -> None:
        """End with -9."""
        self.thread.stop(0)
