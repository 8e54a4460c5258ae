"""Many processes with temporary queues on one account, in virtual time.

What names, binds, gives signs of life and sweeps is the code that runs in production; messages are not simulated.
"""

from __future__ import annotations

import heapq
import itertools
import random
import threading
from collections import Counter, deque
from typing import TYPE_CHECKING, ClassVar

import pytest

from kombu_sns_sqs.aws.probing import probe
from kombu_sns_sqs.aws.retrying import Backoff
from kombu_sns_sqs.errors import ConnectionFailed
from kombu_sns_sqs.janitor import Janitor
from kombu_sns_sqs.options import Options
from kombu_sns_sqs.sweeping.sweeper import Sweeper
from kombu_sns_sqs.topology.entities import QueueDeclaration
from kombu_sns_sqs.topology.wiring import Topology
from tests.simulation.account import Account, Throttling

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

MINUTE = 60.0
HOUR = 60 * MINUTE
OPTIONS = Options(queue_name_prefix="app-", queue_settling=0)


class _Fiber:
    """A thread for what takes virtual time, one thing after the other; it runs only while the world waits for it."""

    def __init__(self) -> None:
        self._job: Callable[[], None] = lambda: None
        self._goes, self._rests = threading.Semaphore(0), threading.Semaphore(0)
        self._error: BaseException | None = None
        self.idle = True
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while self._goes.acquire():
            try:
                self._job()
            except BaseException as exc:  # noqa: BLE001 -- the world raises it
                self._error = exc
            self.idle = True
            self._rests.release()

    def begin(self, job: Callable[[], None]) -> None:
        """Take something on, to be run when it goes."""
        self._job, self.idle = job, False

    def go(self) -> None:
        """Run it until it rests, or ends."""
        self._goes.release()
        self._rests.acquire()
        if self._error is not None:
            raise self._error

    def rest(self) -> None:
        """Wait, in its own thread, until it is run again."""
        self._rests.release()
        self._goes.acquire()


class World:
    """Virtual time, and what happens in it."""

    def __init__(self, seed: int) -> None:
        self.now = 0.0
        self.dice = random.Random(seed)
        self.account = Account(lambda: self.now)
        self._fiber: _Fiber | None = None
        self._idle: list[_Fiber] = []
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def at(self, moment: float, event: Callable[[], None]) -> None:
        """Have something happen."""
        heapq.heappush(self._events, (moment, next(self._order), event))

    def live(self, moment: float, job: Callable[[], None]) -> None:
        """Have something begin that waits now and then for what it asks of AWS."""
        self.at(moment, lambda: self._begin(job))

    def _begin(self, job: Callable[[], None]) -> None:
        fiber = self._idle.pop() if self._idle else _Fiber()
        fiber.begin(job)
        self._go(fiber)

    def _go(self, fiber: _Fiber) -> None:
        self._fiber = fiber
        fiber.go()
        self._fiber = None
        if fiber.idle:
            self._idle.append(fiber)

    def sleep(self, seconds: float) -> bool:
        """Let time pass in what lives; False where this is nothing that does."""
        fiber = self._fiber
        if fiber is None:
            return False
        self.at(self.now + seconds, lambda: self._go(fiber))
        self._fiber = None
        fiber.rest()
        return True

    def run(self, until: float) -> None:
        """Let time pass."""
        while self._events and self._events[0][0] <= until:
            self.now, _, event = heapq.heappop(self._events)
            event()
        self.now = until


class VirtualThread:
    """What stands for the threads of a process: its jobs end with it.

    Args:
        patient: whether its calls wait where they are throttled.
    """

    def __init__(self, world: World, *, patient: bool = False) -> None:
        self._begin = world.live if patient else world.at
        self._world = world
        self.alive = True

    def call_later(self, delay: float, job: Callable[[], None]) -> None:
        """Run a job in ``delay`` seconds, if the process lives."""
        self._begin(self._world.now + delay, lambda: job() if self.alive else None)

    def stop(self, timeout: float) -> None:
        """Run no more."""
        self.alive = False


class Worker:
    """A Celery worker with remote control and events, as far as queues and topics go; ``life`` tells restarts apart."""

    #: How kombu declares the queue of one process, and one of many.
    OWN: ClassVar = {"durable": False, "exclusive": True, "auto_delete": True, "arguments": None}
    SHARED: ClassVar = {"durable": True, "exclusive": False, "auto_delete": False, "arguments": None}

    def __init__(
        self, world: World, number: int, options: Options = OPTIONS, *, patient: bool = False, life: int = 0
    ) -> None:
        self.name = f"w{number:04}"
        self._world = world
        self._life = life
        self.thread = VirtualThread(world, patient=patient)
        self._options = options
        self._control = control = world.account.control(self.name, patience=self._wait)
        self.topology = Topology(control=control, housekeeper=self.thread, options=options)
        self.owner = self.topology.owner
        self.provisioner = self.topology.provisioner
        self.directory = self.topology.directory
        self.binder = self.topology.binder
        self.sweeper = Sweeper(
            control=control,
            directory=self.directory,
            subscriptions=self.topology.subscriptions,
            temporaries=self.provisioner.temporary,
            owner=self.owner,
            on_gone=lambda queue: pytest.fail(f"{queue.name} was taken from {self.name}, which lives"),
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

    def _wait(self, retry: int, *, briefly: bool) -> bool:
        """Wait before what was throttled is repeated, as :class:`ControlPlane` does, or else as botocore does."""
        if briefly:
            return retry < Backoff().attempts and self._world.sleep(Backoff().delay(retry, self._world.dice.random))
        return retry <= 5 and self._world.sleep(self._world.dice.random() * 2.0 ** (retry - 1))

    def start_patiently(self) -> None:
        """Start as Celery does, which begins anew after a connection error: after two seconds, then four, up to 30."""
        for attempt in itertools.count(1):
            try:
                self.start()
            except ConnectionFailed:
                if not self._world.sleep(min(2.0 * attempt, 30.0)):
                    raise
            else:
                return

    def start(self) -> None:
        """Do what a worker does: ask who is there; declare its queue, its mailbox and the exchange of the events."""
        probe(self._control, self._options.identity)
        self.await_replies()
        self.provisioner.declare_exchange("celery.pidbox", "fanout")
        self.provisioner.declare_exchange("celery", "direct")
        self.provisioner.declare_queue(QueueDeclaration.read("celery", **self.SHARED))
        self.provisioner.bind("celery", "celery", "celery")
        mailbox = f"{self.name}@host.celery.pidbox"
        self.provisioner.declare_exchange("celery.pidbox", "fanout")
        self.provisioner.declare_queue(QueueDeclaration.read(mailbox, **self.OWN))
        self.provisioner.bind(mailbox, "celery.pidbox", "")
        self.await_replies()
        self.provisioner.declare_exchange("celeryev", "topic")
        self.topology.companions.find(self.provisioner.queue_to_consume("celery"))

    def await_replies(self) -> None:
        """Declare a queue for replies, which is found by its name and bound to nothing."""
        replies = f"00000000-0000-4000-8{self._life:03}-{self.name[1:]:>012}.reply.celery.pidbox"
        self.declare(replies)
        self.provisioner.bind(replies, "reply.celery.pidbox", replies.partition(".")[0])

    def declare(self, name: str) -> None:
        """Declare a queue of its own."""
        self.provisioner.declare_queue(QueueDeclaration.read(name, **self.OWN))
        self.provisioner.settle_postponed()

    def end(self) -> None:
        """End in order."""
        self.janitor.close_process()
        self.sweeper.stop(0)

    def kill(self) -> None:
        """End with -9."""
        self.thread.stop(0)


def in_their_words(calls: Counter[str]) -> Counter[str]:
    """Name calls as AWS does."""
    return Counter({method.title().replace("_", ""): count for method, count in calls.items()})


class Fleet:
    """Workers that start one after the other; what they have cost is in the account.

    Args:
        gap: seconds between two of them.
        throttled: whether SQS and SNS refuse calls on tags that are too many.
    """

    def __init__(self, count: int = 1000, seed: int = 1, *, gap: float = 1.0, throttled: bool = False) -> None:
        self.world = World(seed)
        self.account = self.world.account
        self.throttling = Throttling(lambda: self.world.now)
        if throttled:
            self.account.weather = self.throttling
        self.workers = [Worker(self.world, number, patient=throttled) for number in range(count)]
        self.started_at: dict[str, float] = {}
        self.ready_at: dict[str, float] = {}
        begin = self.world.live if throttled else self.world.at
        for number, worker in enumerate(self.workers):
            begin(gap * number, lambda worker=worker: self._start(worker))
        self.world.run(gap * count)

    def _start(self, worker: Worker) -> None:
        self.started_at[worker.name] = self.world.now
        worker.start_patiently()
        self.ready_at[worker.name] = self.world.now

    def calls_of_start(self, worker: Worker) -> Counter[str]:
        """What the start of a worker has cost."""
        at = self.started_at[worker.name]
        return in_their_words(self.account.count(worker.name, at, at + 1e-9))

    def calls_of_end(self, worker: Worker) -> Counter[str]:
        """What its end costs, which is now."""
        self.world.run(self.world.now + 1e-6)
        worker.end()
        return in_their_words(self.account.count(worker.name, self.world.now))

    @property
    def sweeper(self) -> str:
        """Who has read tags last."""
        return next(who for _, who, action in reversed(self.account.calls) if action == "list_queue_tags")

    @property
    def owners(self) -> set[str]:
        """Whose temporary queues there are."""
        tags = [queue.tags for queue in self.account.queues.values()]
        return {one["kombu:owner"] for one in tags if "kombu:owner" in one}

    def wait_until_gone(self, workers: list[Worker], limit: float) -> float:
        """Let time pass until nothing is left of some workers, and return how long it took."""
        began, owners = self.world.now, {worker.owner for worker in workers}
        while owners & self.owners:
            assert self.world.now < began + limit, len(owners & self.owners)
            self.world.run(self.world.now + 1)
        return self.world.now - began

    def most(self, actions: Collection[str], seconds: float) -> float:
        """How many of such calls there were a second, in those ``seconds`` in which there were most."""
        recent: deque[float] = deque()
        most = 0
        for at, _, action in self.account.calls:
            if action in actions:
                recent.append(at)
                while recent[0] <= at - seconds:
                    recent.popleft()
                most = max(most, len(recent))
        return most / seconds
