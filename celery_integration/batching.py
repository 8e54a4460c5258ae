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

from celery_integration.driver import is_ours

if TYPE_CHECKING:
    from celery import Celery
    from kombu import Producer

__all__ = ("batch_groups", "publish_batch")

#: Messages after which a batch is flushed: kombu's own default.
_MAX_SIZE: Final = 1000

_apply_one_by_one = group._apply_tasks  # noqa: SLF001  # tests/upstream says when it goes
_grouping: WeakSet[Celery] = WeakSet()


class _Batches:
    """The blocks of :func:`publish_batch` that are open in each thread, for one app."""

    def __init__(self, app: Celery) -> None:
        self._open = threading.local()
        self.acquire = app.producer_or_acquire
        app.producer_or_acquire = self.producer_or_acquire

    def producer_or_acquire(self, producer: Producer | None = None) -> Any:
        """Do what the method of the app does, with the producer of the open block before any other of the pool."""
        return self.acquire(producer if producer is not None else getattr(self._open, "producer", None))

    @contextmanager
    def block(self, max_size: int) -> Iterator[Producer]:
        """Gather all that the thread publishes."""
        before = getattr(self._open, "producer", None)
        with self.producer_or_acquire() as producer, _batch(producer, max_size):
            self._open.producer = producer
            try:
                yield producer
            finally:
                self._open.producer = before


@contextmanager
def _batch(producer: Producer, max_size: int = _MAX_SIZE) -> Iterator[None]:
    """Gather what is published with a producer; within another batch of it in this thread it is a part of that."""
    if getattr(producer._batch_local, "current", None) is not None:  # noqa: SLF001  # see tests/upstream
        # Left by an exception, one of kombu's within another discards what that had gathered, and nobody is told.
        yield
        return
    with producer.batch(max_size):
        yield


def publish_batch(app: Celery, max_size: int = _MAX_SIZE) -> Any:
    """Send what is published in a ``with`` block in batches of ten; on leaving it the broker has all of it.

    ::

        with publish_batch(app):
            for number in range(10_000):
                add.delay(number, number)

    A block that ends with an exception sends nothing more: what has filled a request may have been sent. A group, or
    another such block, within it is a part of it; if that fails and the exception is caught, what it had published is
    sent with the rest. Tasks published in other threads are not part of it. The signal ``after_task_publish`` comes
    when a task is taken into the batch, whether it will be sent or not. With a broker whose transport has no batches,
    tasks are sent one by one as ever.

    Args:
        app: whose tasks.
        max_size: messages after which what has been gathered is flushed, at least 1.

    Raises:
        kombu.exceptions.BatchPublishError: on leaving, or on reaching ``max_size``, when not all were sent; at once
            where AWS could not be asked where a task goes. That of ``sns-sqs://``, ``PublishBatchFailed``, has the
            lists ``sent``, ``refused`` and ``unknown``, whose ``id`` is the task's.
    """
    return _batches(app).block(max_size)


def batch_groups(app: Celery, wanted: bool) -> None:  # noqa: FBT001
    """Have the groups of an app, and the headers of its chords, sent in batches, or no more."""
    if not wanted:
        _grouping.discard(app)
        return
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
    with app.producer_or_acquire(producer) as own, _batch(own) if _batches_groups(app, own) else nullcontext():
        yield from _apply_one_by_one(self, tasks, own, app, *args, **kwargs)


def _batches_groups(app: Celery, producer: Producer) -> bool:
    return app in _grouping and is_ours(producer.connection)
