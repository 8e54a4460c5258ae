"""The app of the acceptance tests with a task that lets no other greenlet run, as a driver written in C does."""

from __future__ import annotations

from app import app, note
from gevent import monkey


@app.task(acks_late=True, ignore_result=True)
def stubborn(seconds: float) -> None:
    """Sleep as if nobody had patched it."""
    note("begin")
    monkey.get_original("time", "sleep")(seconds)
    note("end")
