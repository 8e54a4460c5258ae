"""The thread that gives this process's signs of life, and sweeps what dead processes have left when it is its turn.

It runs only where the process has temporary queues. All of it goes in steps of a call or a few, so that neither the
signs nor the right to sweep have to wait for a long list.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import Final, Protocol, TypeVar

from kombu_sns_sqs.aws.control import ControlPlane
from kombu_sns_sqs.clock import Clock, lease_clock
from kombu_sns_sqs.errors import AccessDenied, Error, Kind, exception_for
from kombu_sns_sqs.logs import fields
from kombu_sns_sqs.options import Options
from kombu_sns_sqs.sweeping.listing import Listing
from kombu_sns_sqs.sweeping.lock import Lock
from kombu_sns_sqs.sweeping.pulse import Pulse
from kombu_sns_sqs.sweeping.removal import Removal
from kombu_sns_sqs.sweeping.times import Times
from kombu_sns_sqs.sweeping.vigil import Vigil
from kombu_sns_sqs.topology.directory import Directory
from kombu_sns_sqs.topology.entities import Queue
from kombu_sns_sqs.topology.subscriptions import Subscriptions
from kombu_sns_sqs.topology.temporaries import Temporaries

logger = logging.getLogger(__name__)

#: No call of a step begins, or is repeated, when so many seconds of it have passed.
_STEP_SECONDS: Final = 10.0
#: Topologies in which temporary queues are made.
_TAKING_PART: Final = frozenset({"create", "validate"})
#: What a refusal of one call says about all others.
_CONCERNS_ALL: Final = frozenset({Kind.DENIED, Kind.CREDENTIALS})

_Result = TypeVar("_Result")


class Thread(Protocol):
    """What runs jobs one after the other; see :class:`kombu_sns_sqs.lifecycle.Housekeeper`."""

    def call_later(self, delay: float, job: Callable[[], None]) -> None:
        """Run a job in ``delay`` seconds."""

    def stop(self, timeout: float) -> None:
        """Drop what has not begun and wait for what has."""


class Sweeper:
    """Gives signs, and sweeps. Started by whoever makes a temporary queue.

    Args:
        owner: what the temporary queues of this process are marked with.
        on_gone: told of a queue of ours that somebody has deleted.
        thread: a thread of its own.
        clock: the monotonic clock.
        chance: gives numbers from 0 to 1.
        lease_clock: goes on while the machine is suspended.
    """

    def __init__(
        self,
        *,
        control: ControlPlane,
        directory: Directory,
        subscriptions: Subscriptions,
        temporaries: Temporaries,
        owner: str,
        on_gone: Callable[[Queue], None],
        options: Options,
        thread: Thread,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
        lease_clock: Clock = lease_clock,
    ) -> None:
        self._control = control
        self._directory = directory
        self._subscriptions = subscriptions
        self._owner = owner
        self._options = options
        self._thread = thread
        self._clock = clock
        self._chance = chance
        self._times = Times(options.sweep_period)
        self._pulse = Pulse(control=control, temporaries=temporaries, options=options, on_gone=on_gone)
        self._lock = Lock(control=control, options=options, lease=self._times.lease, clock=lease_clock)
        self._starting = threading.Lock()
        self._started = False
        #: Whether it is this process's turn, as far as is known; and what it knows and does since then.
        self._sweeps = False
        self._begin()
        #: Whether the permissions suffice, as far as is known, and to list queues for certain; whether a call failed.
        self._may = True
        self._may_list = False
        self._failing = False

    def start(self) -> None:
        """Begin to give signs, and to ask whether it is this process's turn to sweep."""
        if not self._options.sweep_period or self._options.topology not in _TAKING_PART:
            return
        with self._starting:
            if self._started:
                return
            self._started = True
        # No thread begins while the interpreter ends.
        with suppress(RuntimeError):
            signs, turns = partial(self._repeat, self._sign), partial(self._repeat, self._sweep)
            self._thread.call_later(self._times.next_sign(self._chance()), signs)
            self._thread.call_later(self._times.next_try(self._chance()) * self._chance(), turns)

    def stop(self, timeout: float) -> None:
        """End, and leave sweeping to others; whatever comes between, as more has to end than this."""
        try:
            self._thread.stop(timeout)
            with self._control.until(time.monotonic() + timeout):
                self._lock.release()
        except Exception:
            logger.exception("the right to sweep could not be left to others", extra=fields("shutdown_failed"))

    # -- jobs of the thread ----------------------------------------------------------------------------------

    def _repeat(self, job: Callable[[], float | None]) -> None:
        """Do a job again and again, after as many seconds as it says, until it says None; though it may raise."""
        again: float | None = self._times.sign_again
        try:
            again = job()
        finally:
            if again is not None:
                self._thread.call_later(again, partial(self._repeat, job))

    def _sign(self) -> float:
        if not self._pulse.bearers:
            return self._times.next_sign(self._chance())
        with self._briefly():
            given = self._pulse.beat()
        return self._times.next_sign(self._chance()) if given else self._times.sign_again

    def _sweep(self) -> float | None:
        """Become the sweeper, if nobody is, and do one thing as such; None: it may not be done here."""
        if not self._sweeps and self._do(self._take):
            self._begin()
            self._sweeps = True
            logger.debug("this process looks after the temporary queues that others leave")
        elif self._sweeps and not self._pulse.bearers:
            self._do(self._lock.release)
        self._sweeps = self._sweeps and bool(self._do(self._lock.keep))
        again = self._times.next_try(self._chance())
        if self._sweeps:
            try:
                self._vigil.pass_time(self._clock())
                pause = self._do(self._act)
            except Exception:
                # Nobody foresaw it, so what is known and half done may be wrong.
                self._begin()
                raise
            again = self._times.sign_again if pause is None else pause
        return again if self._may else None

    def _take(self) -> bool:
        if not self._pulse.bearers:
            # Without a sign of its own it could not tell whether others can give any.
            return False
        if not self._may_list:
            # Asked first, so that who may not list leaves the message to who may.
            self._listing.may()
            self._may_list = True
        if not self._lock.take():
            return False
        if not self._pulse.beat():
            # It could never give a verdict; another may.
            self._lock.release()
            return False
        return True

    def _begin(self) -> None:
        """Know nothing, and have nothing begun."""
        self._vigil = Vigil(own=self._owner, prefix=self._options.queue_name_prefix, period=self._options.sweep_period)
        self._listing = Listing(control=self._control, options=self._options)
        self._list_at = self._watch_at = float("-inf")
        self._removal: Removal | None = None

    def _act(self) -> float:
        """Do one thing, and say after how many seconds to do the next."""
        now = self._clock()
        dead = None if self._removal else self._vigil.take_dead()
        if dead:
            self._removal = Removal(
                dead,
                control=self._control,
                directory=self._directory,
                subscriptions=self._subscriptions,
                options=self._options,
            )
        if self._removal is not None and now < self._watch_at:
            try:
                self._removal.step()
            finally:
                if self._removal.done:
                    self._removal = None
            return self._times.removal
        self._watch_at = now + self._times.look(self._vigil.silent)
        pause = self._watch(now)
        return pause if self._removal is None else self._times.removal

    def _watch(self, now: float) -> float:
        """Find out one thing more about who lives, and say after how many seconds to do the next."""
        if now >= self._list_at:
            if (found := self._listing.step()) is not None:
                self._vigil.listed(found)
                self._list_at = now + self._times.listing
        elif self._vigil.wants_proof:
            if not self._pulse.beat():
                return self._times.sign_again
            self._vigil.proved()
        elif (look := self._vigil.next_look()) is not None:
            self._look(*look)
        else:
            return self._times.idle
        return self._times.look(self._vigil.silent)

    def _look(self, name: str, url: str) -> None:
        reply = self._control.call(self._options.identity, "sqs", "list_queue_tags", QueueUrl=url)
        failure = reply.failure
        if failure is None:
            self._vigil.saw(name, reply.value.get("Tags") or {})
        elif failure.kind is Kind.MISSING:
            self._vigil.saw(name, None)
        elif failure.kind is Kind.THROTTLED:
            # It goes on with others, no faster than before: signs of life are no better off if it stands still.
            self._vigil.look_again(name, self._times.sign_again)
        elif failure.kind.passing or failure.kind in _CONCERNS_ALL:
            self._vigil.look_again(name, self._times.sign_again)
            raise exception_for(failure)
        else:
            logger.debug("the tags of %s cannot be read, so that its owner is not judged: %s", name, failure)
            self._vigil.look_again(name, self._options.sweep_period)

    # -- what may go wrong -----------------------------------------------------------------------------------

    def _do(self, job: Callable[[], _Result]) -> _Result | None:
        """Do something; None where the service did not answer, or refused."""
        try:
            with self._briefly():
                done = job()
        except AccessDenied as exc:
            self._may = False
            logger.warning(
                "this process may not delete the temporary queues that others leave; those who may do it: %s",
                exc,
                extra=fields("sweep_refused", cause=exc),
            )
            with self._briefly():
                self._lock.release()
            return None
        except Error as exc:
            level = logging.DEBUG if self._failing else logging.WARNING
            logger.log(level, "sweeping temporary queues is put off: %s", exc, extra=fields("sweep_failed", cause=exc))
            self._failing = True
            return None
        self._failing = False
        return done

    def _briefly(self) -> AbstractContextManager[None]:
        return self._control.until(time.monotonic() + _STEP_SECONDS)
