"""Who sweeps: a FIFO queue with one message, and whoever has received it.

Of one message group SQS gives out nothing while a message of it is in flight, so there is one sweeper even if the
message came to be there twice. The sweeper renews the visibility timeout; when it dies, the message is there for the
next. https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/FIFO-queues-understanding-logic.html
"""

from __future__ import annotations

from typing import Any, Final

from kombu_sns_sqs import quotas
from kombu_sns_sqs.aws.control import ControlPlane
from kombu_sns_sqs.aws.reply import Reply
from kombu_sns_sqs.clock import Clock, lease_clock
from kombu_sns_sqs.errors import Kind, exception_for
from kombu_sns_sqs.options import Options
from kombu_sns_sqs.temporary_names import sweeper_queue_name
from kombu_sns_sqs.topology.attributes import encryption_attributes

#: Seconds before the end of the twelve hours for which SQS keeps a message in flight, by which it is received anew.
_MARGIN: Final = 60
#: The group of the message, its deduplication id, and all it says.
_WORD: Final = "sweeper"
#: Seconds in which the answer to a receive that waits for one is there for certain.
_LEAST_READ_TIMEOUT: Final = 3.0
_COUNTS: Final = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "NotVisible", "Delayed")]


class Lock:
    """The right to sweep, as far as this process has it. Belongs to one thread.

    Args:
        lease: seconds for which it is had without being renewed; less than half of the twelve hours.
        clock: goes on while the machine is suspended.
    """

    def __init__(self, *, control: ControlPlane, options: Options, lease: int, clock: Clock = lease_clock) -> None:
        self._control = control
        self._options = options
        self._lease = lease
        self._clock = clock
        # A wait makes SQS ask all its servers; without, it may come back empty, and the next attempt has to do.
        self._wait = 1 if options.read_timeout >= _LEAST_READ_TIMEOUT else 0
        self._url: str | None = None
        self._receipt: str | None = None
        self._taken_at = self._until = float("-inf")

    def take(self) -> bool:
        """Try to get it.

        Raises:
            Error: the service does not answer, or refuses.
        """
        if self._find() is None:
            return False
        if not self._receive() and self._is_missing():
            self._ask("send_message", MessageBody=_WORD, MessageGroupId=_WORD, MessageDeduplicationId=_WORD)
            self._receive()
        return self._receipt is not None

    def keep(self) -> bool:
        """Whether it is had still; it is renewed in time, and received anew before SQS ends it."""
        now = self._clock()
        if self._receipt is None or now >= self._until:
            self._receipt = None
            return False
        if now + self._lease >= self._taken_at + quotas.MAX_VISIBILITY_SECONDS - _MARGIN:
            self.release()
            return self.take()
        if now < self._until - self._lease * 2 / 3:
            return True
        failure = self._change(self._lease).failure
        if failure is None:
            self._until = now + self._lease
        elif not failure.kind.passing:
            self._receipt = None
            return self.take()
        return True

    def release(self) -> None:
        """Leave it to others, at once if the service answers."""
        if self._receipt is not None:
            self._change(0)
            self._receipt = None

    def _find(self) -> str | None:
        """Find the queue, or make it where that may be; None where there is none."""
        if self._url is None:
            name = sweeper_queue_name(self._options.queue_name_prefix)
            reply = self._control.call(self._options.identity, "sqs", "get_queue_url", QueueName=name)
            missing = reply.failure is not None and reply.failure.kind is Kind.MISSING
            if missing and self._options.topology != "create":
                return None
            if missing:
                reply = self._control.call(
                    self._options.identity,
                    "sqs",
                    "create_queue",
                    QueueName=name,
                    Attributes={
                        **encryption_attributes(self._options.queue_attributes),
                        "FifoQueue": "true",
                        "MessageRetentionPeriod": str(quotas.MAX_RETENTION_SECONDS),
                    },
                    tags={key: str(value) for key, value in self._options.queue_tags.items()},
                )
            if reply.failure is not None:
                raise exception_for(reply.failure)
            self._url = str(reply.value["QueueUrl"])
        return self._url

    def _receive(self) -> bool:
        asked_at = self._clock()
        answer = self._ask(
            "receive_message", MaxNumberOfMessages=1, VisibilityTimeout=self._lease, WaitTimeSeconds=self._wait
        )
        for message in answer.get("Messages") or ():
            self._receipt = str(message["ReceiptHandle"])
            self._taken_at, self._until = asked_at, asked_at + self._lease
        return self._receipt is not None

    def _is_missing(self) -> bool:
        """Whether there seems to be no message, in flight or not. The counts lag: one too many does no harm."""
        counts = self._ask("get_queue_attributes", AttributeNames=_COUNTS).get("Attributes") or {}
        return not any(int(count) for count in counts.values())

    def _change(self, seconds: int) -> Reply:
        return self._control.call(
            self._options.identity,
            "sqs",
            "change_message_visibility",
            QueueUrl=self._url,
            ReceiptHandle=self._receipt,
            VisibilityTimeout=seconds,
        )

    def _ask(self, method: str, **arguments: Any) -> Any:
        reply = self._control.call(self._options.identity, "sqs", method, QueueUrl=self._url, **arguments)
        if reply.failure is not None:
            if reply.failure.kind is Kind.MISSING:
                self._url = None
            raise exception_for(reply.failure)
        return reply.value
