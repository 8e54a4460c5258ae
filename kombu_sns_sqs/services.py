"""The wiring diagram: which object is made of which, once for each process and each set of options.

Connections that say the same share everything here: credentials, addresses, the thread that settles. What belongs to
one connection alone, its receiver, is made by :mod:`kombu_sns_sqs.transport`.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
import weakref
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from kombu_sns_sqs.aws.blocking import BlockingClient
from kombu_sns_sqs.aws.client import EventClient
from kombu_sns_sqs.aws.control import ControlPlane
from kombu_sns_sqs.aws.engines import event_client
from kombu_sns_sqs.aws.retrying import Backoff
from kombu_sns_sqs.aws.sessions import Sessions
from kombu_sns_sqs.errors import Kind, exception_for
from kombu_sns_sqs.janitor import Janitor
from kombu_sns_sqs.lifecycle import Housekeeper
from kombu_sns_sqs.options import Options
from kombu_sns_sqs.publishing.batch import PublishBatch
from kombu_sns_sqs.publishing.dead_letter_targets import DeadLetterTargets
from kombu_sns_sqs.publishing.postponing import Postponing
from kombu_sns_sqs.publishing.publisher import Publisher
from kombu_sns_sqs.receiving.hopper import Hopper
from kombu_sns_sqs.settling.dead_letters import DeadLetters
from kombu_sns_sqs.settling.handover import Handover
from kombu_sns_sqs.settling.losses import Losses
from kombu_sns_sqs.settling.rejections import Rejections
from kombu_sns_sqs.settling.settler import Settler
from kombu_sns_sqs.settling.settlers import Settlers
from kombu_sns_sqs.topology.access import Access
from kombu_sns_sqs.topology.binder import Binder
from kombu_sns_sqs.topology.companions import Companions
from kombu_sns_sqs.topology.directory import Directory
from kombu_sns_sqs.topology.entities import Queue
from kombu_sns_sqs.topology.exchanges import Exchanges
from kombu_sns_sqs.topology.filtering import Filtering
from kombu_sns_sqs.topology.holding_queues import HoldingQueues
from kombu_sns_sqs.topology.making import QueueMaker
from kombu_sns_sqs.topology.provisioner import Provisioner
from kombu_sns_sqs.topology.subscriptions import Subscriptions
from kombu_sns_sqs.topology.tags import QueueTags

if TYPE_CHECKING:
    from kombu_sns_sqs.channel import Channel

logger = logging.getLogger(__name__)

#: A queue nobody has: asking for it tells whether the endpoint answers and knows the credentials.
_PROBE: Final = "kombu-sns-sqs-probe"


class Receiving(Protocol):
    """What receives for one connection."""

    def leave(self) -> None:
        """Poll no more, as the process ends."""


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
        self.control = ControlPlane(self.sessions)
        self.blocking = BlockingClient(self.sessions)
        self.housekeeper = Housekeeper()
        self.directory = Directory(control=self.control, options=options)
        exchanges = Exchanges(control=self.control, directory=self.directory, options=options)
        access = Access(control=self.control, directory=self.directory, options=options)
        self.binder = self._make_binder(exchanges, access)
        self.companions = Companions(control=self.control, options=options)
        self.provisioner = Provisioner(
            control=self.control,
            directory=self.directory,
            exchanges=exchanges,
            maker=QueueMaker(control=self.control, directory=self.directory, options=options),
            binder=self.binder,
            access=access,
            companions=self.companions,
            options=options,
        )
        self.publisher = self._make_publisher()
        self.handover = Handover(
            client=BlockingClient(self.sessions, Backoff(attempts=1)),
            holding_queues=HoldingQueues(control=self.control, options=options),
            find_queue=self.directory.find_queue,
            call_later=self.housekeeper.call_later,
        )
        self.losses = Losses(options.on_lease_lost)
        self.settler = Settlers(make=self._make_settler, lease_seconds=options.visibility_timeout)
        self.dead_letters = self._make_dead_letters()
        self.rejections = Rejections(settler=self.settler, dead_letters=self.dead_letters, options=options)
        self.hopper = self._make_hopper()
        self.janitor = Janitor(provisioner=self.provisioner)
        #: What receives for this process, for as long as somebody else keeps it.
        self.receivers: weakref.WeakSet[Receiving] = weakref.WeakSet()
        self._idle_clients: deque[EventClient] = deque()
        self._last_polls: list[threading.Thread] = []
        self._verified = False

    def _make_binder(self, exchanges: Exchanges, access: Access) -> Binder:
        return Binder(
            control=self.control,
            directory=self.directory,
            exchanges=exchanges,
            subscriptions=Subscriptions(control=self.control, directory=self.directory, options=self.options),
            filtering=Filtering(
                control=self.control,
                housekeeper=self.housekeeper,
                tags=self._tags,
                options=self.options,
            ),
            access=access,
            options=self.options,
        )

    def _make_settler(self, lease_seconds: int) -> Settler:
        return Settler(
            client=self.event_client,
            lease_seconds=lease_seconds,
            ack_delay=self.options.ack_delay,
            losses=self.losses,
            hand_over=self.handover.hand_over,
        )

    def _make_dead_letters(self) -> DeadLetters:
        targets = DeadLetterTargets(
            control=self.control,
            directory=self.directory,
            binder=self.binder,
            complete=self.provisioner.complete,
            asks=self.options.topology != "assume",
        )
        return DeadLetters(client=self.blocking, targets=targets, settler=self.settler, compat=self.options.compat)

    def _make_publisher(self) -> Publisher:
        complete = self.provisioner.complete
        return Publisher(
            client=self.blocking,
            directory=self.directory,
            complete=complete,
            postponing=Postponing(companions=self.companions, complete=complete, options=self.options),
            settle_postponed=self.provisioner.settle_postponed,
            options=self.options,
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

    def _tags(self, queue: Queue) -> QueueTags:
        return self.binder.tags(queue)

    def event_client(self) -> EventClient:
        """Make a client that an event loop, or a thread of its own, drives."""
        return event_client(self.sessions)

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
        )

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
            reply = self.control.call(self.options.identity, "sqs", "get_queue_url", QueueName=_PROBE)
            # Whatever AWS says of that queue, it has said it to somebody it knows.
            if reply.failure is not None and (reply.failure.kind.passing or reply.failure.kind is Kind.CREDENTIALS):
                raise exception_for(reply.failure)
        self._verified = True

    def doubt(self) -> None:
        """Verify again with the next connection: something was wrong with this one."""
        self._verified = False

    def settle(self, timeout: float) -> None:
        """See all that was asked carried out, dead letters, deletions and give-backs, within ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        self.dead_letters.flush(timeout)
        self.settler.flush(max(0.0, deadline - time.monotonic()))

    def finish_polls(self, client: EventClient) -> None:
        """See a closed connection's last polls to their end, in a thread: what they bring is given back, not lost."""
        if not client.in_flight or self.pid != os.getpid():
            client.close()
            return
        thread = threading.Thread(target=_drive_to_end, args=(client,), name="kombu-sns-sqs-last-polls", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # Some Pythons begin no thread once the interpreter ends: what waits for the threads does it itself.
            _drive_to_end(client, time.monotonic() + self.options.shutdown_timeout)
            return
        self._last_polls = [one for one in self._last_polls if one.is_alive()] + [thread]

    def stop_receiving(self) -> None:
        """Poll no more: what is given back now must not be taken by a connection that was left open."""
        for receiver in list(self.receivers):
            try:
                receiver.leave()
            except Exception:
                logger.exception("a connection could not be closed")

    def close(self) -> None:
        """End with the process: wait for the last polls, settle, delete what was temporary."""
        deadline = time.monotonic() + self.options.shutdown_timeout
        for thread in self._last_polls:
            thread.join(max(0.0, deadline - time.monotonic()))
        self.dead_letters.stop(self.options.shutdown_timeout)
        self.hopper.stop(self.options.shutdown_timeout)
        self.settler.stop(self.options.shutdown_timeout)
        self.janitor.close_process(self.options.shutdown_timeout)
        self.housekeeper.stop()
        while self._idle_clients:
            self._idle_clients.pop().close()


def _drive_to_end(client: EventClient, deadline: float = math.inf) -> None:
    while client.in_flight and time.monotonic() < deadline:
        client.run_once(1.0)
    client.close()
