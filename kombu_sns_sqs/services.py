"""The wiring diagram: which object is made of which, once for each process and each set of options.

Connections that say the same share everything here: credentials, addresses, the thread that settles. What belongs to
one connection alone, its receiver, is made by :mod:`kombu_sns_sqs.transport`.
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from kombu_sns_sqs.aws.blocking import BlockingClient
from kombu_sns_sqs.aws.client import EventClient
from kombu_sns_sqs.aws.control import ControlPlane
from kombu_sns_sqs.aws.engines import event_client
from kombu_sns_sqs.aws.probing import probe
from kombu_sns_sqs.aws.retrying import Backoff
from kombu_sns_sqs.aws.sessions import Sessions
from kombu_sns_sqs.aws.watched import WatchedClient
from kombu_sns_sqs.errors import exception_for
from kombu_sns_sqs.janitor import Janitor
from kombu_sns_sqs.lifecycle import Housekeeper, Patience
from kombu_sns_sqs.logs import fields
from kombu_sns_sqs.messages import Delivery
from kombu_sns_sqs.monitoring.watch import Watch
from kombu_sns_sqs.options import Options
from kombu_sns_sqs.publishing.batch import PublishBatch
from kombu_sns_sqs.publishing.courier import Courier
from kombu_sns_sqs.publishing.dead_letter_targets import DeadLetterTargets
from kombu_sns_sqs.publishing.postponing import Postponing
from kombu_sns_sqs.publishing.publisher import Publisher
from kombu_sns_sqs.publishing.watched_publisher import WatchedPublisher, tell_of_batch, tell_of_event
from kombu_sns_sqs.receiving.hopper import Hopper
from kombu_sns_sqs.receiving.last_polls import MARGIN, LastPolls
from kombu_sns_sqs.receiving.receivers import Receivers
from kombu_sns_sqs.replies import Mailboxes, Replies
from kombu_sns_sqs.settling.dead_letters import DeadLetters
from kombu_sns_sqs.settling.handover import Handover
from kombu_sns_sqs.settling.losses import Losses
from kombu_sns_sqs.settling.rejections import Rejections
from kombu_sns_sqs.settling.settler import Settler
from kombu_sns_sqs.settling.settlers import Settlers
from kombu_sns_sqs.sweeping.sweeper import Sweeper
from kombu_sns_sqs.topology.holding_queues import HoldingQueues
from kombu_sns_sqs.topology.wiring import Topology

if TYPE_CHECKING:
    from kombu_sns_sqs.channel import Channel

logger = logging.getLogger(__name__)

#: Seconds in which acks and give-backs should be carried out after those before them were not.
_BRIEFLY: Final = 1.0


class Services:
    """Everything connections with the same options share in one process.

    Args:
        options: what was asked for.
        sessions: its credentials and boto3 clients, of which all options with the same limits have one.
    """

    def __init__(self, options: Options, *, sessions: Sessions) -> None:
        self.options = options
        self.pid = os.getpid()
        self.sessions = sessions
        self.watch = Watch(options.hooks)
        self.control = ControlPlane(self.sessions, tell=self.watch.api_call)
        self.blocking = BlockingClient(self.sessions, tell=self.watch.api_call)
        self.housekeeper = Housekeeper()
        topology = Topology(control=self.control, housekeeper=self.housekeeper, options=options)
        self.directory, self.binder = topology.directory, topology.binder
        self.companions, self.provisioner, self.restorer = topology.companions, topology.provisioner, topology.restorer
        self.sweeper = self._make_sweeper(topology)
        self.provisioner.temporary.on_added = self.sweeper.start
        self.courier = self._make_courier()
        self._mailboxes = Mailboxes(bindings=self.directory.bindings, rest=options.wait_time_seconds + MARGIN)
        self.publisher = self._make_publisher()
        self.handover = Handover(
            client=BlockingClient(self.sessions, Backoff(attempts=1), tell=self.watch.api_call),
            holding_queues=HoldingQueues(control=self.control, options=options),
            find_queue=self.directory.find_queue,
            call_later=self.housekeeper.call_later,
        )
        self.losses = Losses(options.on_lease_lost, tell=self.watch.lease_lost)
        self.receivers = Receivers()
        self.settler = Settlers(make=self._make_settler, lease_seconds=options.visibility_timeout)
        self.dead_letters = self._make_dead_letters()
        self.rejections = self._make_rejections()
        #: Deletes a message that the application has acked.
        self.ack: Callable[[Delivery], None] = self.settler.ack if self.watch.settle is None else self._ack_and_tell
        self.hopper = self._make_hopper()
        self.janitor = Janitor(
            provisioner=self.provisioner,
            control=self.control,
            timeout=options.shutdown_timeout,
            call_later=self.housekeeper.call_later,
        )
        self._patience = Patience(options.shutdown_timeout, worn=_BRIEFLY)
        self._idle_clients: deque[EventClient] = deque()
        self._last_polls: list[LastPolls] = []
        self._verified = False

    def _make_settler(self, lease_seconds: int) -> Settler:
        return Settler(
            client=self.event_client,
            lease_seconds=lease_seconds,
            ack_delay=self.options.ack_delay,
            losses=self.losses,
            hand_over=self.handover.hand_over,
            carrier=self.receivers.carrier,
        )

    def _make_dead_letters(self) -> DeadLetters:
        targets = DeadLetterTargets(
            control=self.control,
            directory=self.directory,
            binder=self.binder,
            complete=self.provisioner.complete,
            asks=self.options.topology != "assume",
        )
        return DeadLetters(
            client=self.blocking,
            targets=targets,
            settler=self.settler,
            compat=self.options.compat,
            tell=self.watch.settle,
        )

    def _make_rejections(self) -> Rejections:
        return Rejections(
            settler=self.settler, dead_letters=self.dead_letters, options=self.options, tell=self.watch.settle
        )

    def _make_publisher(self) -> Publisher:
        complete = self.provisioner.complete
        tell = self.watch.publish
        make = Publisher if tell is None else partial(WatchedPublisher, tell=tell)
        return make(
            client=self.blocking,
            directory=self.directory,
            complete=complete,
            postponing=Postponing(companions=self.companions, complete=complete, options=self.options),
            settle_postponed=self.provisioner.settle_postponed,
            send_later=self.courier.take,
            options=self.options,
        )

    def _make_courier(self) -> Courier:
        return Courier(
            client=BlockingClient(self.sessions, Backoff(attempts=1), tell=self.watch.api_call),
            delay=self.options.event_delay,
            forget_topic=self.directory.forget_topic,
            tell=None if self.watch.publish is None else partial(tell_of_event, self.watch.publish),
        )

    def _make_hopper(self) -> Hopper:
        return Hopper(
            client=self.event_client,
            settler=self.settler,
            companions=self.companions,
            not_delivered=self.dead_letters.not_delivered,
            housekeeper=self.housekeeper,
            options=self.options,
        )

    def _make_sweeper(self, topology: Topology) -> Sweeper:
        return Sweeper(
            control=self.control,
            directory=self.directory,
            subscriptions=topology.subscriptions,
            temporaries=self.provisioner.temporary,
            owner=topology.owner,
            on_gone=self.restorer.missed,
            options=self.options,
            thread=Housekeeper("kombu-sns-sqs-sweeper"),
        )

    def replies(self, connection: object) -> Replies:
        """Make what declares the queues of a channel, and gives it its reply queues."""
        return Replies(mailboxes=self._mailboxes, declare=partial(self.provisioner.declare_queue, by=connection))

    def event_client(self) -> EventClient:
        """Make a client that an event loop, or a thread of its own, drives."""
        client = event_client(self.sessions)
        return client if self.watch.api_call is None else WatchedClient(client, self.watch.api_call)

    def publish_batch(self, channel: Channel, max_size: int) -> PublishBatch:
        """Make a session for ``Producer.batch()``, with a client whose connections the last one has left open."""
        try:
            client = self._idle_clients.pop()
        except IndexError:
            client = self.event_client()
        return PublishBatch(
            channel=channel,
            publisher=self.publisher,
            client=client,
            give_back=self._idle_clients.append,
            max_size=max_size,
            tell=None if self.watch.publish is None else partial(tell_of_batch, self.watch.publish),
        )

    def _ack_and_tell(self, delivery: Delivery) -> None:
        self.settler.ack(delivery)
        if self.watch.settle is not None:
            self.watch.settle(delivery, "ack")

    def verify(self) -> None:
        """Make sure, once, that the endpoint answers and knows the credentials.

        Raises:
            Error: it does not.
        """
        if self._verified:
            return
        if self.options.topology == "assume":
            self.control.session(self.options.identity).control("sqs")
        else:
            failure = probe(self.control, self.options.identity)
            if failure is not None:
                raise exception_for(failure)
        self._verified = True

    def doubt(self) -> None:
        """Verify again with the next connection: something was wrong with this one."""
        self._verified = False

    def settle(self, timeout: float) -> bool:
        """See carried out what was asked of messages: dead letters, deletions, give-backs; False if not in time."""
        deadline = time.monotonic() + timeout
        buried = self.dead_letters.flush(timeout)
        return self.settler.flush(_left(deadline)) and buried

    def settle_before_close(self) -> None:
        """See it, and events, out before a connection closes, but not for long where that was in vain a moment ago."""
        deadline = self._patience.deadline()
        settled = self.settle(_left(deadline))
        if not (self.courier.flush(_left(deadline)) and settled):
            self._patience.was_in_vain()

    def finish_polls(self, polls: LastPolls) -> None:
        """See a closed connection's last polls to their end: what they bring is given back, not lost.

        In a forked child they are the parent's, and the client has forgotten them.
        """
        self._last_polls = [one for one in self._last_polls if one.open] + [polls]
        polls.start()

    def stop_receiving(self) -> None:
        """Poll no more: what is given back now must not be taken by a connection that was left open."""
        for receiver in self.receivers:
            _see_done(receiver.leave)

    def close(self) -> None:
        """End with the process: delete what was temporary, wait for the last polls, settle.

        One deadline for all, but the polls are waited for until they end, and what they brought has to go back then.
        """
        deadline = self._patience.deadline()
        # The hopper's polls are no longer than the stop, so that each of them ends in time.
        _see_done(lambda: self.hopper.stop(_left(deadline) + MARGIN / 2))
        _see_done(lambda: self.dead_letters.stop(_left(deadline)))
        _see_done(self.janitor.close_process)
        _see_done(lambda: self.sweeper.stop(min(_BRIEFLY, _left(deadline))))
        _see_done(self._wait_for_last_polls)
        last = self._patience.deadline()
        _see_done(lambda: self.settler.stop(_left(last)))
        _see_done(lambda: self.courier.stop(_left(last)))
        _see_done(lambda: self.housekeeper.stop(_left(last)))
        for client in self._idle_clients:
            _see_done(client.close)

    def _wait_for_last_polls(self) -> None:
        if False in [polls.wait() for polls in self._last_polls]:
            self._patience.was_in_vain()


def _see_done(step: Callable[[], object]) -> None:
    """Do one step of the end, which others have to follow whatever becomes of it: acks wait to be sent."""
    try:
        step()
    except Exception:
        logger.exception("a part of this process could not be ended", extra=fields("shutdown_failed"))


def _left(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())
