"""Whether a connection is being fed and its leases are renewed, for probes and watchdogs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from amqp import RecoverableConnectionError

from kombu_sns_sqs.clock import lease_clock
from kombu_sns_sqs.connections import open_transport

if TYPE_CHECKING:
    from kombu import Connection

    from kombu_sns_sqs.receiving.lanes import Lane

__all__ = ("Health", "QueueHealth", "health")


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueHealth:
    """How it stands with one queue that is consumed from.

    Args:
        queue: its name in AMQP.
        polls: requests that SQS has not answered yet.
        answered_at: when SQS last answered one, with messages or without, by ``time.monotonic()``; None: not yet.
        failures: how many have failed since.
        full: whether nobody asks, since the application has no place for another message.
    """

    queue: str
    polls: int
    answered_at: float | None
    failures: int
    full: bool

    @classmethod
    def of(cls, lane: Lane) -> QueueHealth:
        """Look at a lane."""
        poller = lane.poller
        answers = [pace.answered_at for pace in poller.paces if pace.answered_at is not None]
        return cls(
            queue=poller.queue.name,
            polls=poller.in_flight,
            answered_at=max(answers, default=None),
            failures=max(pace.failures for pace in poller.paces),
            full=lane.blocked or not poller.window.asks,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How it stands with a connection at a moment.

    Args:
        connected: whether it is open; if it is not, there is nothing else to tell.
        queues: those it consumes from.
        held: messages under lease, of all connections with the same options.
        renewals_late: for how many seconds the thread that renews leases should have done something and has not: some
            moments on a busy machine, and growing if it has ended; 0.0 before there was anything to do.
    """

    connected: bool = False
    queues: tuple[QueueHealth, ...] = ()
    held: int = 0
    renewals_late: float = 0.0


def health(connection: Connection) -> Health:
    """Tell how it stands with a connection. Nothing is asked of AWS, nothing waits; in any thread.

    An idle queue is answered every ``wait_time_seconds``, without an event loop at first every second. No answer for
    much longer, with ``full`` not being true, means that the endpoint is out of reach, that SQS refuses, or that
    nobody turns the connection: in the solo pool, and in plain kombu, also that a task or a callback is at work.
    """
    transport = open_transport(connection)
    if transport is None:
        return Health()
    try:
        settler, receiver = transport.services.settler, transport.receiver
    except RecoverableConnectionError:
        # It was collected since, by the thread that met an error.
        return Health()
    lanes = [lane for lane in list(receiver.lanes.values()) if lane.consumers]
    return Health(
        connected=True,
        queues=tuple(QueueHealth.of(lane) for lane in lanes),
        held=settler.held,
        renewals_late=settler.late(lease_clock()),
    )
