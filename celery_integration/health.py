"""A worker that tells whether it is alive, for whoever restarts what is not."""

from __future__ import annotations

import atexit
import logging
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from celery import bootsteps, signals
from celery.exceptions import ImproperlyConfigured
from celery.utils.nodenames import node_format
from celery.worker.components import Pool
from celery.worker.consumer.tasks import Tasks

from celery_integration.driver import is_ours
from celery_integration.probes import HealthFile, HealthServer, parse_address
from celery_integration.pulse import LOOKS, Look, Pulse
from kombu_sns_sqs import Health, health, log_fields, options_of

if TYPE_CHECKING:
    from celery import Celery

__all__ = ("HealthProbe", "tell_health")

logger = logging.getLogger(__name__)

#: Seconds between two looks, at most.
_INTERVAL: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthProbe:
    """How workers tell whether they are alive: by a file, over HTTP, or both.

    Args:
        file: path of a file that is touched every few seconds while the worker consumes and is alive, and is removed
            when it does not, or stops. ``%n`` (the worker's name), ``%h`` and so on as in Celery's log files.
        address: ``host:port`` of an HTTP server in a thread of the worker, with ``/livez`` and ``/readyz``.
        seconds: for how long the broker, the main loop or the thread that renews leases may give no sign of life;
            more than a long poll and its timeout, 30 with the defaults.

    Raises:
        ValueError: neither file nor address is given, the address is not ``host:port``, or the seconds are not above 0.
    """

    file: str | None = None
    address: str | None = None
    seconds: float = 120.0

    def __post_init__(self) -> None:
        """Refuse what cannot be told, or to nobody."""
        if not (self.file or self.address):
            raise ValueError("a HealthProbe needs a file, an address or both")
        if self.address:
            parse_address(self.address)
        if self.seconds <= 0:
            raise ValueError(f"seconds is {self.seconds}: it must be above 0")

    @property
    def interval(self) -> float:
        """Seconds between two looks."""
        return min(_INTERVAL, self.seconds / LOOKS)

    @property
    def patience(self) -> int:
        """Looks without a sign of life that are borne."""
        return math.ceil(self.seconds / self.interval)


_probes: WeakKeyDictionary[Celery, HealthProbe] = WeakKeyDictionary()


def tell_health(app: Celery, probe: HealthProbe | None) -> None:
    """Have workers of an app tell whether they are alive; None: no more."""
    if probe is None:
        _probes.pop(app, None)
        app.steps["worker"].discard(HealthWatch)
        app.steps["consumer"].discard(HealthOfConsumer)
        return
    _probes[app] = probe
    app.steps["worker"].add(HealthWatch)
    app.steps["consumer"].add(HealthOfConsumer)


class Watch:
    """Looks at a worker every few seconds, and tells what it finds.

    Args:
        probe: how it is told.
        hostname: the worker's name.

    Raises:
        ImproperlyConfigured: the file cannot be written, or the address not be bound.
    """

    def __init__(self, probe: HealthProbe, hostname: str) -> None:
        self._probe = probe
        self._pulse = Pulse(probe.patience)
        self._ended = threading.Event()
        self._consumer: Any = None
        self._consuming = self._stopping = False
        #: The thread of the main loop, and how many tasks run in it, one within the other.
        self._loop_thread: int | None = None
        self._tasks = 0
        #: Whether the main loop has been asked to turn, and whether it has.
        self._asked = self._turned = False
        self._file_fails = False
        self._file = _file_of(probe, hostname)
        self._server = _server_of(probe, self.tell)

    def start(self) -> None:
        """Begin to look."""
        signals.task_prerun.connect(self._task_begins, weak=False, dispatch_uid=self)
        signals.task_postrun.connect(self._task_ends, weak=False, dispatch_uid=self)
        atexit.register(self._tell_file, ready=False)
        threading.Thread(target=self._run, name="celery-health-watch", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._ended.set()
        signals.task_prerun.disconnect(dispatch_uid=self)
        signals.task_postrun.disconnect(dispatch_uid=self)
        self._tell_file(ready=False)
        atexit.unregister(self._tell_file)
        if self._server is not None:
            self._server.close()

    def tell(self) -> dict[str, Any]:
        """Say what was found at the last look."""
        complaints = self._pulse.complaints
        return {"live": not complaints, "ready": self._pulse.ready, "complaints": list(complaints)}

    # -- told by the worker ------------------------------------------------------------------------------------

    def consumes(self, consumer: Any) -> None:
        """Note that the worker consumes from here on; called in the thread of its main loop."""
        self._loop_thread = threading.get_ident()
        self._asked = self._turned = False
        self._consumer, self._consuming = consumer, True

    def rests(self, *, stopping: bool) -> None:
        """Note that the worker does not consume for now, or stops."""
        self._consuming, self._stopping = False, self._stopping or stopping
        if stopping:
            self._tell_file(ready=False)

    def _task_begins(self, **_: Any) -> None:
        if threading.get_ident() == self._loop_thread:
            self._tasks += 1

    def _task_ends(self, **_: Any) -> None:
        if threading.get_ident() == self._loop_thread:
            self._tasks = max(0, self._tasks - 1)

    def _turn(self) -> None:
        self._turned, self._asked = True, False

    # -- looking -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._ended.wait(self._probe.interval):
            try:
                self._look()
            except Exception:
                logger.exception("the health of the worker could not be looked at", extra=log_fields("health_unknown"))

    def _look(self) -> None:
        consumer = self._consumer
        connection = consumer.connection if consumer is not None else None
        before = self._pulse.complaints
        self._pulse.take(
            Look(
                loop_turned=self._turned,
                in_task=self._tasks > 0,
                consuming=self._consuming,
                stopping=self._stopping,
                health=health(connection) if connection is not None else Health(),
            )
        )
        self._turned = False
        if self._consuming and not self._asked:
            self._asked = True
            consumer.call_soon(self._turn)
        self._report(before)
        self._tell_file(ready=self._pulse.ready)

    def _tell_file(self, *, ready: bool) -> None:
        if self._file is None:
            return
        failed_before = self._file_fails
        try:
            self._file.tell(ready=ready)
            self._file_fails = False
        except OSError as exc:
            self._file_fails = True
            if not failed_before:
                # A folder that has gone, a disk that is full: not the worker is ill, though a probe says so.
                told = log_fields("health_file_failed", cause=exc)
                words = "the health file cannot be %s, and says what is not so until it can: %s"
                logger.error(words, "touched" if ready else "removed", exc, extra=told)  # noqa: TRY400

    def _report(self, before: tuple[str, ...]) -> None:
        complaints = self._pulse.complaints
        if complaints and complaints != before:
            told = log_fields("worker_unhealthy", complaints=complaints)
            words = "the worker is not healthy, for some %g s: %s"
            logger.error(words, self._probe.seconds, "; ".join(complaints), extra=told)
        elif before and not complaints:
            logger.info("the worker is healthy again", extra=log_fields("worker_healthy"))


def _file_of(probe: HealthProbe, hostname: str) -> HealthFile | None:
    if not probe.file:
        return None
    file = HealthFile(Path(node_format(probe.file, hostname)))
    try:
        file.tell(ready=True)
        file.tell(ready=False)
    except OSError as exc:
        raise ImproperlyConfigured(f"HealthProbe(file={probe.file!r}) cannot be written: {exc}") from exc
    return file


def _server_of(probe: HealthProbe, tell: Callable[[], dict[str, Any]]) -> HealthServer | None:
    if not probe.address:
        return None
    try:
        return HealthServer(parse_address(probe.address), tell)
    except OSError as exc:
        raise ImproperlyConfigured(f"HealthProbe(address={probe.address!r}) cannot be bound: {exc}") from exc


class HealthWatch(bootsteps.StartStopStep):
    """Begins to watch, beside a pool whose processes have been started."""

    requires = (Pool,)

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        parent.health_watch = None
        super().__init__(parent, **kwargs)

    def include_if(self, parent: Any) -> bool:
        """Whether it is a worker of this transport's."""
        return is_ours(parent.app.connection_for_read())

    def start(self, parent: Any) -> None:
        """Begin.

        Raises:
            ImproperlyConfigured: the file cannot be written, the address cannot be bound, or silence is borne for less
                than a poll takes.
        """
        probe, options = _probes[parent.app], options_of(parent.app.connection_for_read())
        longest = options.wait_time_seconds + options.read_timeout
        if probe.seconds <= longest:
            raise ImproperlyConfigured(
                f"HealthProbe(seconds={probe.seconds:g}): a poll may take {longest:g} s, wait_time_seconds and"
                " read_timeout together, so it must be more than that"
            )
        parent.health_watch = Watch(probe, parent.hostname)
        parent.health_watch.start()

    def stop(self, parent: Any) -> None:
        """Go on: tasks may still run, and leases be renewed, when the pool is stopped after this."""


class HealthOfConsumer(bootsteps.StartStopStep):
    """Tells the watch when the worker consumes, and when it has ended."""

    requires = (Tasks,)

    def start(self, parent: Any) -> None:
        """Consume."""
        if parent.controller.health_watch is not None:
            parent.controller.health_watch.consumes(parent)

    def stop(self, parent: Any) -> None:
        """Stop, or begin anew after a connection error."""
        if parent.controller.health_watch is not None:
            stopping = parent.blueprint.state != bootsteps.RUN
            parent.controller.health_watch.rests(stopping=stopping)

    def shutdown(self, parent: Any) -> None:
        """End: the pool has stopped."""
        watch, parent.controller.health_watch = parent.controller.health_watch, None
        if watch is not None:
            watch.stop()
