"""Temporary queues that are gone while their process lives: made again, with their bindings.

A process that stood still for long, such as on a laptop that slept, is taken for dead by others, who delete its queues.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from kombu_sns_sqs.errors import Error
from kombu_sns_sqs.logs import fields
from kombu_sns_sqs.topology.binder import Binder
from kombu_sns_sqs.topology.bindings import binding_tag
from kombu_sns_sqs.topology.directory import Directory
from kombu_sns_sqs.topology.entities import Queue
from kombu_sns_sqs.topology.making import QueueMaker
from kombu_sns_sqs.topology.provisioner import Provisioner

logger = logging.getLogger(__name__)


class Restorer:
    """Makes them again. Safe for threads; may block for a minute, for which AWS bars the name of a reply queue.

    Args:
        call_later: runs a job in a thread that may block.
    """

    def __init__(
        self,
        *,
        provisioner: Provisioner,
        maker: QueueMaker,
        binder: Binder,
        directory: Directory,
        call_later: Callable[[float, Callable[[], None]], None],
    ) -> None:
        self._provisioner = provisioner
        self._maker = maker
        self._binder = binder
        self._directory = directory
        self._call_later = call_later
        self._lock = threading.Lock()

    def missed(self, queue: Queue, then: Callable[[Queue], None] | None = None) -> None:
        """Have a queue of ours made again that is not there any more; ``then`` is told where it is now.

        With it, all others of this process that are gone. Nothing is made of a queue that was meant to go.
        """
        self._call_later(0.0, lambda: self._restore(queue, then))

    def _restore(self, queue: Queue, then: Callable[[Queue], None] | None) -> None:
        try:
            with self._lock:
                found = self._again(queue.name)
                for other in self._provisioner.temporary.queues if found is not None else ():
                    self._again(other.name)
        except Error as exc:
            told = fields("queue_gone", queue=queue.name, cause=exc)
            words = "temporary queue %r is gone, and could not be made again yet: %s"
            logger.warning(words, queue.name, exc, extra=told)
            return
        if found is not None and then is not None:
            then(found)

    def _again(self, name: str) -> Queue | None:
        """Make one again unless it is there, and return it; None of one that was meant to go."""
        known = self._provisioner.temporary.get(name)
        if known is None:
            return None
        queue, declaration = known
        if self._directory.url_of(queue.url.rpartition("/")[2]) is not None:
            return queue
        bindings = self._directory.bindings(name).all
        tags = dict(binding_tag(exchange, key) for exchange, key in bindings)
        self._binder.unsubscribe_all(queue)
        made = self._maker.make_private(declaration, tags) if bindings else self._maker.make(declaration)
        self._provisioner.made(declaration, made, tags)
        for exchange, key in bindings:
            self._binder.bind(made, exchange, key)
        told = fields("queue_restored", queue=name)
        logger.warning("temporary queue %r was deleted by somebody else, and was made again", name, extra=told)
        return made
