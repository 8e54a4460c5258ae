"""One connection's way in: all its queues polled in parallel, their messages handed over fairly.

Two things can drive it: kombu's event loop, or the caller of ``drain_events``; both use the same client, so the one
may follow the other at any time. All of it runs in the driving thread; only ``wake()`` may be called from others.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from vine import promise

from kombu_sns_sqs.aws.client import EventClient
from kombu_sns_sqs.native_threads import end_of_caller
from kombu_sns_sqs.qos import QoS
from kombu_sns_sqs.receiving.answer_age import AnswerAge
from kombu_sns_sqs.receiving.lanes import Consumer, Key, Lane, deliver_all, deliver_one, poll_all
from kombu_sns_sqs.receiving.last_polls import LastPolls
from kombu_sns_sqs.receiving.pace import FIRST_WAIT
from kombu_sns_sqs.receiving.poller import Poller
from kombu_sns_sqs.receiving.refreshing import Refresher
from kombu_sns_sqs.receiving.replacing import Replacements
from kombu_sns_sqs.receiving.tick import Tick, shortest
from kombu_sns_sqs.receiving.window import Window
from kombu_sns_sqs.services import Services
from kombu_sns_sqs.topology.entities import Queue

#: A loop that has not turned for so many seconds is in a long callback, or at its end.
_LIVELY: Final = 0.1


class Receiver:
    """Polls, matches and delivers for one connection.

    Args:
        services: what it shares with other connections.
    """

    def __init__(self, *, services: Services) -> None:
        self._services = services
        self._options = services.options
        self._client: EventClient | None = None
        self._lanes: dict[Key, Lane] = {}
        #: For others to look at, in any thread.
        self.lanes = MappingProxyType(self._lanes)
        self._leaving: list[Poller] = []
        self._hub: Any = None
        #: The thread that has turned it last.
        self.driver: threading.Thread | None = None
        #: Whether who has waited here last has ended.
        self.stranded: Callable[[], bool] = bool
        self.handing_over = False
        self._turned_at = 0.0
        self._ages = AnswerAge()
        self._tick = Tick(self.wake)
        # One promise for all turns: the hub keeps what is due soon in a set, so that however often a turn is asked for,
        # one is taken; and none is lost for good where the hub drops its set after an error.
        self._next_turn = promise(self._turn)
        self._refresher = Refresher(
            binder=services.binder,
            housekeeper=services.housekeeper,
            max_age=services.options.bindings_max_age,
            on_done=self.wake,
        )
        self._replacements = Replacements(services.restorer, self.wake)
        self._poll = partial(poll_all, self._lanes, patience=self._options.overflow_seconds)
        services.receivers.add(self)

    # -- consumers -------------------------------------------------------------------------------------------

    def consume(self, consumer: Consumer, queue: Queue) -> None:
        """Begin to feed a consumer."""
        self._services.receivers.see_off_stranded()
        key = consumer.lane
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(poller=self._poller(queue, consumer), qos=consumer.qos)
        self._services.handover.attend(queue)
        lane.poller.resume()
        self._services.hopper.attend(lane.poller)
        lane.consumers.append(consumer)
        self.wake()

    def cancel(self, consumer: Consumer) -> None:
        """Feed a consumer no longer; with the last of a lane, what it has not been given goes back."""
        lane = self._lanes.get(consumer.lane)
        if lane is None or consumer not in lane.consumers:
            return
        lane.consumers.remove(consumer)
        if not lane.consumers:
            lane.poller.stop()
            self._rest()

    def forget(self, qos: QoS) -> None:
        """Drop the lanes of a closed channel; their last polls are seen to their end."""
        for key, lane in list(self._lanes.items()):
            if lane.qos is qos:
                lane.poller.stop()
                self._leaving = [poller for poller in self._leaving if poller.in_flight]
                self._leaving.append(self._lanes.pop(key).poller)
        self._rest()

    def _rest(self) -> None:
        """With no consumer left and no event loop, nobody may turn the client again: see its polls to their end.

        Those of a reply queue stay, for the next consumer: nobody else is waiting for what they bring.
        """
        if self._hub is None and not any(lane.consumers for lane in self._lanes.values()):
            self._finish_polls()

    def _end_polls(self, *, queues_stay: bool) -> None:
        for poller in self._pollers():
            poller.stop()
        self._finish_polls(queues_stay=queues_stay)
        self._lanes.clear()
        self._leaving.clear()

    def _finish_polls(self, *, queues_stay: bool = False) -> None:
        pollers = self._pollers()
        wanted = [poller for poller in pollers if queues_stay or poller.queue.lasting]
        if self._client is not None and any(poller.in_flight for poller in wanted):
            self._services.finish_polls(LastPolls(self._client, pollers))
            self._client = None
            self._lanes.clear()
            self._leaving.clear()

    def _poller(self, queue: Queue, consumer: Consumer) -> Poller:
        # The prefetch count does not apply to consumers that need no ack.
        window = Window(cap=self._options.prefetch_limit) if consumer.no_ack else consumer.qos.window
        return Poller(
            queue=queue,
            window=window,
            client=self._event_client,
            settler=self._services.settler,
            dead_letters=self._services.dead_letters,
            bindings=lambda: self._services.directory.bindings(queue.name),
            postpone=self._services.hopper.postpone,
            listener=self,
            ages=self._ages,
            max_wait=self._options.wait_time_seconds,
            lease_seconds=queue.lease_seconds or self._options.visibility_timeout,
            on_gone=self._replacements.ask,
        )

    def _event_client(self) -> EventClient:
        if self._client is None:
            self._client = self._services.event_client()
            if self._hub is not None:
                self._client.attach(self._hub)
        return self._client

    # -- driving ---------------------------------------------------------------------------------------------

    def attach(self, hub: Any) -> None:
        """Let an event loop drive."""
        self._hub = hub
        hub.on_close.add(self.detach)
        self._services.receivers.on_loop(self)
        if self._client is not None:
            self._client.attach(hub)
        self.wake()

    def detach(self, closed: Any = None) -> None:
        """Take everything back from the event loop; ``closed``: a loop that was, and may be another by now."""
        if self._hub is None or closed not in (None, self._hub):
            return
        self._hub.on_close.discard(self.detach)
        self._hub = None
        self._tick.cancel()
        if self._client is not None:
            self._client.detach()

    def carrier(self) -> EventClient | None:
        """Give the client, if an event loop drives, and will again soon; else None."""
        lively = self._hub is not None and time.monotonic() - self._turned_at < _LIVELY
        return self._client if lively else None

    def wake(self) -> None:
        """Look at queues and windows again soon. May be called in any thread."""
        if self.handing_over and threading.current_thread() is self.driver:
            return  # It looks at everything when it has handed over.
        self.news()
        if client := self._client:  # With a hub, too, which may be about to sleep.
            client.wake()

    def drain(self, timeout: float | None) -> None:
        """Deliver one message, waiting for it.

        Raises:
            TimeoutError: none came within ``timeout`` seconds.
        """
        self.driver = threading.current_thread()
        self.stranded = end_of_caller()
        now = time.monotonic()
        deadline = None if timeout is None else now + timeout
        polled = False
        try:
            while True:
                if deliver_one(self._lanes, now):
                    self._poll(now, wait=FIRST_WAIT)
                    return
                left = None if deadline is None else deadline - now
                if left is not None and left <= 0 and polled:
                    raise TimeoutError("timed out")
                due = self._poll(now, wait=None)
                polled = True
                self._event_client().run_once(shortest(left, None if due is None else due - now))
                self._judge_parked()
                now = time.monotonic()
        finally:
            polling = [poller.open_until for poller in self._pollers() if poller.in_flight]
            self._services.receivers.left(self, polling_until=max(polling, default=None))

    def _turn(self) -> None:
        """Do what there is to do, on the event loop."""
        if self._hub is None:
            return
        self.driver, self.stranded = threading.current_thread(), bool
        self._judge_parked()
        now = self._turned_at = time.monotonic()
        self.handing_over = True
        try:
            deliver_all(self._lanes, now)
        except BaseException:
            self.handing_over = False
            # A callback may end the worker by raising; what else there is to deliver must not wait for a new message.
            self.wake()
            raise
        self.handing_over = False
        # What callbacks put off until "soon", as Celery does with acks, the hub does after its sleep, else.
        if getattr(self._hub, "_ready", True):
            self._event_client().wake()
        due = self._poll(now, wait=self._options.wait_time_seconds)
        if self._hub is not None:
            self._tick.set(self._hub, None if due is None else due - now)

    # -- polling and delivering ------------------------------------------------------------------------------

    def _judge_parked(self) -> None:
        self._replacements.apply()
        fresh = self._refresher.take()
        for lane in self._lanes.values() if fresh else ():
            if lane.poller.queue.name in fresh:
                lane.poller.judge_parked()

    # -- what pollers tell -----------------------------------------------------------------------------------

    def news(self) -> None:
        """Deliver and poll again soon; told by the client, whose turn the hub's follows."""
        hub = self._hub
        if hub is not None:
            hub.call_soon(self._next_turn)

    def unsure(self, poller: Poller) -> None:
        """Have a queue's bindings read again before some messages can be judged."""
        self._refresher.ask(poller.queue)

    # -- the end ---------------------------------------------------------------------------------------------

    def close(self, *, queues_stay: bool = False) -> None:
        """Give back what is not delivered, and leave the polls in flight to be seen to their end.

        ``queues_stay``: whether temporary queues outlive this connection, as when it is only collected.
        """
        self.detach()
        self._end_polls(queues_stay=queues_stay)
        if self._client is not None:
            self._client.close()
            self._client = None

    def let_go(self) -> None:
        """Have the polls in flight seen to their end, and begin with others when it is driven again."""
        fed = [(one, lane.poller.queue) for lane in self._lanes.values() for one in lane.consumers]
        self._end_polls(queues_stay=True)
        for consumer, queue in fed:
            self.consume(consumer, queue)

    def _pollers(self) -> list[Poller]:
        return [*(lane.poller for lane in self._lanes.values()), *self._leaving]

    def leave(self) -> None:
        """Close as the process ends, unless another thread may be at it."""
        driver = self.driver
        if driver is None or driver is threading.current_thread() or not driver.is_alive():
            self.close()

    def abandon(self) -> None:
        """Forget everything without touching it: in a forked child it is the parent's."""
        self._hub = None
        self._lanes.clear()
        if self._client is not None:
            self._client.abandon()
            self._client = None
