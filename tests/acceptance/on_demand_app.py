"""The app of the acceptance tests with what Celery gives only to brokers it names."""

from __future__ import annotations

import time

from app import app, note

from celery_integration import install

install(app)


@app.task(ignore_result=True)
def nap(mark: str, seconds: float) -> None:
    """Note the beginning, and take some time; acked before it begins."""
    note(f"begin {mark}")
    time.sleep(seconds)
