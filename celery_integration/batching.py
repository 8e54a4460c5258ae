"""Groups, chords and loops of ``apply_async`` sent in batches: kombu can, and Celery does not ask for it.

The one seam Celery has for this is ``app.producer_or_acquire()``, through which every publication of an app goes; and
a group applies its tasks one by one in a method of its own, with one producer.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from celery.canvas import group

if TYPE_CHECKING:
    from celery import Celery
    from kombu import Producer

__all__ = ("batch_groups", "publish_batch")

#: ``Transport.driver_type`` of ``kombu_sns_sqs``.
_DRIVER: Final = "sns-sqs"
#: Messages after which a batch is flushed: kombu's own default.
_MAX_SIZE: Final = 1000

_apply_one_by_one = group._apply_tasks  # noqa: SLF001  # tests/upstream says when it goes
_grouping: WeakSet[Celery] = WeakSet()


class _Batches:
    """The batch that is open in each thread, for one app."""

    def __init__(self, app: Celery) -> None:
        self._open = threading.local()
        self.acquire = app.producer_or_acquire
        app.producer_or_acquire = self.producer_or_acquire

    def producer_or_acquire(self, producer: Producer | None = None) -> Any:
        """Do what the method of the app does, with the producer of the open batch before any other of the pool."""
        return self.acquire(producer if producer is not None else getattr(self._open, "producer", None))

    @contextmanager
    def open(self, max_size: int) -> Iterator[Producer]:
        """Open a batch; within another it is a part of that."""
        before = getattr(self._open, "producer", None)
        with self.producer_or_acquire() as producer, producer.batch(max_size):
            self._open.producer = producer
            try:
                yield producer
            finally:
                self._open.producer = before


def publish_batch(app: Celery, max_size: int = _MAX_SIZE) -> Any:
    """Send what is published in a ``with`` block in batches of ten; on leaving it the broker has all of it.

    ::

        with publish_batch(app):
            for number in range(10_000):
                add.delay(number, number)

    A block that ends with an exception sends nothing more. Tasks published in other threads are not part of it. The
    signal ``after_task_publish`` comes when a task is taken into the batch. With a broker whose transport has no
    batches, tasks are sent one by one as ever.

    Args:
        app: whose tasks.
        max_size: messages after which what has been gathered is flushed, at least 1.

    Raises:
        kombu.exceptions.BatchPublishError: on leaving, or on reaching ``max_size``, when not all were sent. That of
            ``sns-sqs://``, ``PublishBatchFailed``, has the lists ``sent``, ``refused`` and ``unknown``, whose ``id`` is
            the task's.
    """
    return _batches(app).open(max_size)


def batch_groups(app: Celery) -> None:
    """Have the groups of an app, and the headers of its chords, sent in batches."""
    _batches(app)
    _grouping.add(app)
    group._apply_tasks = _apply_in_batches  # noqa: SLF001  # see above


def _batches(app: Celery) -> _Batches:
    # Kept by the app itself, so that it goes with it.
    owner = getattr(app.producer_or_acquire, "__self__", None)
    return owner if isinstance(owner, _Batches) else _Batches(app)


def _apply_in_batches(
    self: group, tasks: Any, producer: Producer | None = None, app: Celery | None = None, *args: Any, **kwargs: Any
) -> Generator[Any, None, None]:
    app = app or self.app
    if app not in _grouping:
        yield from _apply_one_by_one(self, tasks, producer, app, *args, **kwargs)
        return
    with app.producer_or_acquire(producer) as own, own.batch() if _ours(own) else nullcontext():
        yield from _apply_one_by_one(self, tasks, own, app, *args, **kwargs)


def _ours(producer: Producer) -> bool:
    return bool(producer.connection.transport.driver_type == _DRIVER)
