"""From names to addresses: which URL a queue has and which ARN an exchange, looked up once and remembered.

Nothing is made here. A reply queue that is missing is remembered as missing for a few seconds, so that a flood of
replies to a client that is gone does not become a flood of look-ups.
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Final

from kombu_sns_sqs.addressing import queue_name, topic_name
from kombu_sns_sqs.aws.control import ControlPlane
from kombu_sns_sqs.errors import Failure, Kind, NotFound, exception_for
from kombu_sns_sqs.identity import Identity
from kombu_sns_sqs.options import Options
from kombu_sns_sqs.temporary_names import bears_uuid, is_for_replies, temporary_name_of
from kombu_sns_sqs.topology.entities import Lifetime, Queue, Topic
from kombu_sns_sqs.topology.knowledge import KnownBindings
from kombu_sns_sqs.topology.policies import partition_of

#: Seconds for which an absent reply queue is taken as absent.
_ABSENT_SECONDS: Final = 5.0
#: Queues remembered that others made: a worker meets a reply queue for every client it answers.
_REMEMBERED: Final = 10_000


class Directory:
    """The addresses one process knows. Safe for threads.

    Args:
        control: looks up what is not known yet.
        options: prefix, predefined entities, account.
    """

    def __init__(self, *, control: ControlPlane, options: Options) -> None:
        self._control = control
        self._options = options
        self._lock = threading.Lock()
        self._queues: dict[str, Queue] = {}
        #: Of others, or as good as that: looked up again where they are forgotten.
        self._met: dict[str, Queue] = {}
        self._absent: dict[str, float] = {}
        self._topics: dict[str, Topic] = {}
        self._topic_seen: dict[str, float] = {}
        self._bindings: dict[str, KnownBindings] = {}

    # -- queues ----------------------------------------------------------------------------------------------

    def queue(self, name: str) -> Queue:
        """Give a queue's address.

        Raises:
            NotFound: there is no such queue.
            Error: it could not be looked up.
        """
        found = self.find_queue(name)
        if found is None:
            raise NotFound(f"NOT_FOUND - no queue {name!r}")
        return found

    def find_queue(self, name: str) -> Queue | None:
        """Give a queue's address, None where there is no such queue.

        Raises:
            Error: it could not be looked up.
        """
        known = self.known_queue(name)
        if known is not None:
            return known
        if self._absent.get(name, 0.0) > time.monotonic():
            return None
        return self.look_up_queue(name)

    def look_up_queue(self, name: str) -> Queue | None:
        """Ask AWS for a queue, whatever is remembered."""
        predefined = self._options.predefined_queue(name)
        if predefined is not None:
            # Wanted for binding alone, which 'assume' does not do; composing it asks for the account.
            aws_name = predefined.url.rstrip("/").rpartition("/")[2]
            arn = "" if self._options.topology == "assume" else self._arn(predefined.identity, "sqs", aws_name)
            found = Queue(
                name=name,
                urls=(predefined.url,),
                arn=arn,
                identity=predefined.identity,
                lifetime=Lifetime.PREDEFINED,
                lease_seconds=predefined.visibility_timeout,
            )
            self.remember_queue(found)
            return found
        for aws_name, certain in self._places(name):
            url = self.url_of(aws_name, certain=certain)
            if url is not None:
                found = Queue(name=name, urls=(url,), arn=self.queue_arn(aws_name), identity=self._options.identity)
                self.remember_queue(found)
                return found
        self._note_absence(name)
        return None

    def _places(self, name: str) -> list[tuple[str, bool]]:
        """Give the names on AWS that a queue may have, the likelier first, and whether it is the last.

        A name with a UUID may be that of a temporary queue that somebody waits for replies in.
        """
        lasting = self.aws_queue_name(name)
        if not bears_uuid(name):
            return [(lasting, True)]
        temporary = temporary_name_of(name, prefix=self._options.queue_name_prefix)
        first, second = (temporary, lasting) if is_for_replies(name) else (lasting, temporary)
        return [(first, False), (second, True)]

    def _note_absence(self, name: str) -> None:
        """Remember that a reply queue is gone; any other queue may be made by somebody at any moment."""
        if not bears_uuid(name):
            return
        with self._lock:
            if len(self._absent) >= _REMEMBERED:
                self._absent.clear()
            self._absent[name] = time.monotonic() + _ABSENT_SECONDS

    def url_of(self, aws_name: str, *, certain: bool = True) -> str | None:
        """Ask for the URL of an SQS queue; None where there is none, or it is not ``certain`` and may not be asked."""
        reply = self._control.call(self._options.identity, "sqs", "get_queue_url", QueueName=aws_name)
        if reply.failure is None:
            return str(reply.value["QueueUrl"])
        if reply.failure.kind is Kind.MISSING or (reply.failure.kind is Kind.DENIED and not certain):
            return None
        raise exception_for(reply.failure)

    def known_queue(self, name: str) -> Queue | None:
        """Give the address that is remembered, without asking."""
        return self._queues.get(name) or self._met.get(name)

    def remember_queue(self, queue: Queue) -> None:
        """Note where a queue is."""
        with self._lock:
            if queue.lasting and (bears_uuid(queue.name) or not queue.complete):
                if len(self._met) >= _REMEMBERED:
                    self._met.clear()
                self._met[queue.name] = queue
            else:
                self._queues[queue.name] = queue
                self._met.pop(queue.name, None)
            self._absent.pop(queue.name, None)

    def forget_queue(self, name: str) -> None:
        """Look a queue up again: it may be gone. One of this process alone is where it is, or will be made again."""
        queue = self.known_queue(name)
        if queue is None or queue.lasting:
            self.queue_is_gone(name)

    def queue_is_gone(self, name: str, url: str | None = None) -> None:
        """Drop what is remembered of a queue, but not where it is another by now that has not this URL."""
        with self._lock:
            known = self.known_queue(name)
            if url is not None and known is not None and known.url != url:
                return
            for memory in (self._queues, self._met, self._absent, self._bindings):
                memory.pop(name, None)

    def bindings(self, name: str) -> KnownBindings:
        """Give what is known of a queue's bindings."""
        known = self._bindings.get(name)
        if known is not None:
            return known
        with self._lock:
            return self._bindings.setdefault(name, KnownBindings())

    def aws_queue_name(self, name: str, level: int = 0) -> str:
        """Name the SQS queue behind a queue of AMQP."""
        return queue_name(name, prefix=self._options.queue_name_prefix, level=level)

    def level_name(self, queue: Queue, level: int) -> str:
        """Name the SQS queue of a priority level: as its URL has it, where that is known."""
        if level < len(queue.urls):
            return queue.urls[level].rpartition("/")[2]
        return self.aws_queue_name(queue.name, level)

    def queue_arn(self, aws_name: str) -> str:
        """Compose the ARN of an SQS queue of ours."""
        return self._arn(self._options.identity, "sqs", aws_name)

    # -- exchanges -------------------------------------------------------------------------------------------

    def known_topic(self, exchange: str, *, within: float | None = None) -> Topic | None:
        """Give the topic that is remembered, without asking; only what was noted ``within`` so many seconds."""
        if within is not None and self._topic_seen.get(exchange, float("-inf")) < time.monotonic() - within:
            return None
        return self._topics.get(exchange)

    def remember_topic(self, topic: Topic) -> None:
        """Note where an exchange is, and of what type."""
        with self._lock:
            self._topics[topic.exchange] = topic
            self._topic_seen[topic.exchange] = time.monotonic()

    def forget_topic(self, exchange: str) -> None:
        """Drop what is remembered of an exchange."""
        with self._lock:
            self._topics.pop(exchange, None)

    def topic_address(self, exchange: str) -> tuple[str, Identity]:
        """Give ARN and signer for an exchange, whether it exists or not: SNS will say."""
        known = self._topics.get(exchange)
        if known is not None:
            return known.arn, known.identity
        predefined = self._options.predefined_exchange(exchange)
        if predefined is not None:
            return predefined.arn, predefined.identity
        name = topic_name(exchange, prefix=self._options.queue_name_prefix)
        return self._arn(self._options.identity, "sns", name), self._options.identity

    def topic_identity(self, arn: str) -> Identity:
        """Give the signer for a topic by its ARN."""
        return next(
            (one.identity for one in self._options.predefined_exchanges if one.arn == arn), self._options.identity
        )

    # -- the account -----------------------------------------------------------------------------------------

    def account_id(self) -> str:
        """The account the ARNs are in.

        Raises:
            Error: it is not set and cannot be asked for.
        """
        if self._options.account_id:
            return self._options.account_id
        account = self._control.account_id(self._options.identity)
        if isinstance(account, Failure):
            hint = "the ARNs need the AWS account: where STS does not answer, set the option 'account_id'"
            raise exception_for(replace(account, message=f"{account.message} ({hint})"))
        return account

    @property
    def region(self) -> str:
        """The region of queues and topics."""
        return self._control.session(self._options.identity).region

    def _arn(self, identity: Identity, service: str, name: str) -> str:
        region = self._control.session(identity).region
        return f"arn:{partition_of(region)}:{service}:{region}:{self.account_id()}:{name}"
