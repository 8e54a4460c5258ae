"""What all benchmarks stand on: the brokers, the relay before them, and how much is to be done."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.processes import Program, cpu_seconds, descendants, keep_on
from benchmarks.relaying import Relay
from benchmarks.servers import SERVERS, SERVICES
from benchmarks.traffic import Traffic
from benchmarks.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from typing_extensions import Self

    from benchmarks.contenders import Address, Contender
    from benchmarks.sizes import Sizes

#: Seconds after which what has not happened will not happen.
PATIENCE: Final = 600.0
#: Requests each of four connections sends to measure the relay.
_SAMPLE: Final = 1000


class Unavailable(Exception):
    """Something a run cannot do without is not installed."""


@dataclass
class Phase:
    """A stretch of a benchmark, watched from outside.

    Attributes:
        traffic: what passed the contender's port of the relay.
        seconds: how long it took.
        relay_cpu: CPU seconds the relay used.
        server_cpu: CPU seconds the broker used.
    """

    traffic: Traffic
    seconds: float = 0.0
    relay_cpu: float = 0.0
    server_cpu: float = 0.0


class Testbed:
    """Brokers and a relay, up for one run.

    Args:
        contenders: who takes part; those whose broker is not installed are left out, with a note.
        service: what stands in for AWS, a name of `SERVICES`.
        rtt: the round trip in seconds.
        sizes: how much is to be done.

    Raises:
        Unavailable: the service is not installed and a contender needs it.
    """

    def __init__(self, *, contenders: Sequence[Contender], service: str, rtt: float, sizes: Sizes) -> None:
        self.service = service
        self.rtt = rtt
        self.sizes = sizes
        #: What the reader of the results has to know.
        self.notes: list[str] = []
        self.contenders = tuple(contenders)
        #: The busiest the relay and each broker have been in a phase that took over a second.
        self.busiest: dict[str, float] = {}
        self._names = count(1)
        self._ports: dict[str, int] = {}
        self._servers: dict[str, Any] = {}
        self._server_pids: dict[str, set[int]] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        try:
            self._open()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def address(self, contender: Contender) -> Address:
        """Where a contender finds its broker: behind the relay."""
        server = self._servers[contender.server]
        return contender.address(
            port=self._ports[contender.name],
            key=getattr(server, "access_key", ""),
            secret=getattr(server, "secret_key", ""),
        )

    @property
    def trip(self) -> float:
        """Seconds a round trip takes as measured, 0 where none was asked for."""
        return self.capacity.rtt if self.rtt else 0.0

    def new_name(self, stem: str) -> str:
        """A name no queue or exchange has had in this run."""
        return f"{stem}-{os.getpid()}-{next(self._names)}"

    @contextlib.contextmanager
    def round_trip(self, rtt: float) -> Iterator[None]:
        """Inside the block let a round trip take what this run is about, or nothing for 0; outside it none is added."""
        self._relay.delay(self.capacity.asked if rtt else 0.0)
        try:
            yield
        finally:
            self._relay.delay(0.0)

    @contextlib.contextmanager
    def apart(self) -> Iterator[set[int]]:
        """Inside the block keep brokers and relay to one core, and give the others: for who is to be measured alone.

        As a rule a broker is on another machine, and pushes nothing out of the caches of those who wait for it.
        """
        cores = os.sched_getaffinity(0)
        if len(cores) == 1:
            yield cores
            return
        servers = descendants(os.getpid())
        keep_on({max(cores)}, servers)
        try:
            yield cores - {max(cores)}
        finally:
            keep_on(cores, servers)

    @contextlib.contextmanager
    def phase(self, contender: Contender) -> Iterator[Phase]:
        """Count what passes for a contender inside the block."""
        port = self._ports[contender.name]
        pids = self._server_pids[contender.server]
        phase = Phase(Traffic())
        begun, spent = time.monotonic(), sum(map(cpu_seconds, pids))
        relay_spent = self._relay.reset(port)
        yield phase
        phase.traffic, relay_now = self._relay.read(port)
        phase.seconds = time.monotonic() - begun
        phase.relay_cpu = relay_now - relay_spent
        phase.server_cpu = sum(map(cpu_seconds, pids)) - spent
        if phase.seconds > 1:
            for name, cpu in (("relay", phase.relay_cpu), (self._name_of(contender), phase.server_cpu)):
                self.busiest[name] = max(self.busiest.get(name, 0.0), cpu / phase.seconds)

    def traffic(self, contender: Contender) -> Traffic:
        """What has passed for a contender since its last phase began."""
        return self._relay.read(self._ports[contender.name])[0]

    def program(self, module: str, contender: Contender, *, prefix: Sequence[str] = (), **settings: Any) -> Program:
        """Start one of `benchmarks.programs` for a contender."""
        log = self.folder / f"{module}-{next(self._names)}.log"
        return Program(
            ["-m", f"benchmarks.programs.{module}", json.dumps(settings)],
            log=log,
            environment=self._environment(contender, settings.get("queue", "unused")),
            prefix=prefix,
        )

    def ask(self, module: str, contender: Contender, *, timeout: float = PATIENCE, **settings: Any) -> dict[str, Any]:
        """Run one of `benchmarks.programs` and return what it says."""
        with self.program(module, contender, **settings) as program:
            answer = program.hear(timeout)
            program.stop(grace=20.0)
            return answer

    def publish(
        self, contender: Contender, queue: str, messages: int, *, way: str = "batch", queues: Sequence[str] = ()
    ) -> dict[str, Any]:
        """Publish no-op tasks to `queue`, or to `queues` in turn, from a process of its own; return its costs."""
        return self.ask("producer", contender, queue=queue, queues=list(queues), way=way, messages=messages)

    def fill(self, contender: Contender, queue: str, messages: int) -> None:
        """Put so many of plain kombu's messages into a queue that nobody consumes from."""
        with self.program("publisher", contender) as publisher:
            publisher.tell(queues=[queue], times=messages, declare=True)
            publisher.hear(PATIENCE)
            publisher.close_input()
            publisher.stop(grace=20.0)

    def worker(
        self,
        contender: Contender,
        queue: str,
        *,
        queues: Sequence[str] = (),
        arguments: Sequence[str] = (),
        **options: Any,
    ) -> Worker:
        """Make a worker that consumes from `queue`, or from `queues`."""
        number = next(self._names)
        return Worker(
            arguments=[*(["-Q", ",".join(queues)] if queues else []), *arguments],
            environment=self._environment(contender, queue, options),
            folder=self.folder,
            name=f"w{number}",
        )

    def _open(self) -> None:
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmarks-", dir=_scratch())))
        self._relay = self._stack.enter_context(Relay())
        self.capacity = self._relay.measure(self.rtt, _SAMPLE)
        for name in dict.fromkeys(contender.server for contender in self.contenders):
            self._start(name)
        self.contenders = tuple(one for one in self.contenders if one.server in self._servers)
        for contender in self.contenders:
            server = self._servers[contender.server]
            self._ports[contender.name] = self._relay.listen(server.port, aws=contender.aws)
        self._relay.delay(0.0)

    def _start(self, name: str) -> None:
        server = SERVICES[self.service]() if name == "aws" else SERVERS[name]()
        if (reason := server.available()) is not None:
            if name == "aws":
                raise Unavailable(reason)
            self.notes.append(f"{name} is left out: {reason}")
            return
        before = descendants(os.getpid())
        self._stack.callback(server.stop)
        server.start()
        self._servers[name] = server
        self._server_pids[name] = descendants(os.getpid()) - before

    def _name_of(self, contender: Contender) -> str:
        return self.service if contender.aws else contender.server

    def _environment(self, contender: Contender, queue: str, options: dict[str, Any] | None = None) -> dict[str, str]:
        address = self.address(contender)
        settings = {"url": address.url, "options": {**address.options, **(options or {})}, "queue": queue}
        return {"BENCHMARK": json.dumps(settings), "AWS_EC2_METADATA_DISABLED": "true"}


def _scratch() -> str | None:
    """Memory rather than a disk: workers note there what they have done."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
