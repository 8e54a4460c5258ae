"""The app of the tests of results, whose groups go out ten tasks to a request."""

from __future__ import annotations

import time

from celery import group
from results_app import add, app

from celery_integration import install

__all__ = ("app", "many")

install(app)


def many(number: int) -> bool:
    """Run a group of so many tasks, and fetch the results when they are there; tell whether each is its own."""
    begun = group(add.s(one, 1) for one in range(number)).apply_async()
    with app.connection_for_read() as connection:
        # A poll may be open already, which takes ten at most.
        while connection.default_channel.queue_declare(app.thread_oid, passive=True).message_count < number - 10:
            time.sleep(0.2)
    return bool(begun.get(timeout=60) == list(range(1, number + 1)))
