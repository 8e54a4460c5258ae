"""The Celery app of workers and producers: one task that does nothing but note that it was run."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from celery import Celery
from celery.signals import worker_ready

_settings = json.loads(os.environ["BENCHMARK"])

app = Celery("benchmarks", broker=_settings["url"])
app.conf.update(
    broker_connection_retry_on_startup=True,
    broker_transport_options=_settings["options"],
    task_default_queue=_settings["queue"],
    task_ignore_result=True,
    # `sqs://` has none, so nobody does: the work is the same for all.
    worker_enable_remote_control=False,
    worker_prefetch_multiplier=50,
)
if _settings["url"].startswith("sns-sqs:"):
    from celery_integration import install

    install(app)

_ledger: dict[int, int] = {}


@app.task
def nothing() -> None:
    """Add a byte to the ledger, where there is one."""
    pid = os.getpid()
    if pid not in _ledger:
        _ledger[pid] = os.open(os.environ["BENCHMARK_LEDGER"], os.O_WRONLY | os.O_APPEND)
    os.write(_ledger[pid], b".")


@worker_ready.connect
def note_ready(**_: Any) -> None:
    """Note when this worker began to consume, and what its main process had cost until then."""
    path = Path(os.environ["BENCHMARK_READY"])
    draft = path.with_suffix(".draft")
    # The clock whose ticks /proc shows later: of two clocks the difference can be less than nothing.
    spent = os.times()
    draft.write_text(f"{time.monotonic()} {spent.user + spent.system}")
    draft.rename(path)
