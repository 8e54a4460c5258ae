"""Temporary queues that are gone while their process lives: made again, with their bindings.

A process that stood still for long, such as on a laptop that slept, is taken for dead by others, who delete its queues.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from kombu_sns_sqs.errors import Error, NotFound
from kombu_sns_sqs.logs import Seldom, fields
from kombu_sns_sqs.topology.binder import Binder
from kombu_sns_sqs.topology.bindings import binding_tag
from kombu_sns_sqs.topology.directory import Directory
from kombu_sns_sqs.topology.entities import Queue
from kombu_sns_sqs.topology.making import QueueMaker
from kombu_sns_sqs.topology.provisioner import Provisioner

logger = logging.getLogger(__name__)

#: Seconds after which what could not be made again is tried again: AWS may bar the name of a queue for a minute.
_PAUSE: Final = 5.0


class Restorer:
    """Makes them again. Safe for threads.

    Args:
        call_later: runs a job in a thread that may block, but that others wait for: so nothing here sleeps.
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
        #: Who waits for which queue.
        self._under_way: dict[str, list[Callable[[Queue], None]]] = {}
        self._seldom = Seldom()

    def missed(self, queue: Queue, then: Callable[[Queue], None] | None = None) -> None:
        """Have a queue of ours made again that is not there any more; ``then`` is told where it is now.

        With it, all others of this process that are gone. Nothing is made of a queue that was meant to go.
        """
        self._begin(queue.name, [] if then is None else [then], others=True)

    def _begin(self, name: str, then: list[Callable[[Queue], None]], *, others: bool) -> None:
        with self._lock:
            begun = name in self._under_way
            self._under_way.setdefault(name, []).extend(then)
        if not begun:
            self._call_later(0.0, lambda: self._restore(name, others=others))

    def _restore(self, name: str, *, others: bool) -> None:
        try:
            found = self._again(name, others=others)
        except Error as exc:
            if self._seldom.count(name):
                told = fields("queue_gone", queue=name, cause=exc)
                words = "temporary queue %r is gone, and could not be made again yet: %s"
                logger.warning(words, name, exc, extra=told)
            self._call_later(_PAUSE, lambda: self._restore(name, others=others))
            return
        except BaseException:
            self._done(name)
            raise
        for then in self._done(name):
            if found is not None:
                then(found)

    def _done(self, name: str) -> list[Callable[[Queue], None]]:
        with self._lock:
            return self._under_way.pop(name, [])

    def _again(self, name: str, *, others: bool) -> Queue | None:
        """Make one again unless it is there, bind it as it was bound, and return it; None of one that was to go."""
        known = self._provisioner.temporary.get(name)
        if known is None:
            return None
        queue, declaration, bindings = known
        tags = None
        if self._directory.url_of(queue.url.rpartition("/")[2]) is None:
            tags = dict(binding_tag(exchange, key) for exchange, key in bindings)
            self._binder.unsubscribe_all(queue)
            queue = self._maker.make_again(queue, declaration, tags)
            if self._provisioner.temporary.get(name) is None:
                self._provisioner.remove(queue)  # Its last user has gone meanwhile.
                return None
            self._provisioner.made(declaration, queue)
            told = fields("queue_restored", queue=name)
            logger.warning("temporary queue %r was deleted by somebody else, and was made again", name, extra=told)
            for other in self._provisioner.temporary.queues if others else ():
                self._begin(other.name, [], others=False)
        for exchange, key in bindings:
            # One that was made again may lack what a first attempt could not bind.
            if tags is not None or not self._binder.is_bound(queue, exchange):
                self._bind(queue, exchange, key)
        return queue

    def _bind(self, queue: Queue, exchange: str, routing_key: str) -> None:
        try:
            self._binder.bind(queue, exchange, routing_key)
        except NotFound:
            if self._directory.known_topic(exchange) is not None:
                raise
            # The exchange is gone, and its bindings with it.
            self._provisioner.temporary.unbound(exchange, name=queue.name)
