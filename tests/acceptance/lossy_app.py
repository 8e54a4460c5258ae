"""The app of tasks with a gate, whose workers lose their connection when they are told to."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from celery.worker.control import control_command
from gated_app import app

from kombu_sns_sqs.errors import Unreachable

app.conf.update(json.loads(os.environ.get("SETTINGS", "{}")))


@control_command(args=[("cancel", bool), ("gate", str)])
def lose_connection(state: Any, cancel: bool = False, gate: str = "") -> dict[str, str]:
    """Have an error of the connection reach Celery, as one does that a blocking verb on the event loop meets.

    At once, or when the test opens a gate.
    """
    state.app.conf.worker_cancel_long_running_tasks_on_connection_loss = cancel
    is_open = Path(os.environ["NOTES"]).with_name(gate).exists if gate else lambda: True
    hub, connection = state.consumer.hub, state.consumer.connection

    def lose() -> None:
        if is_open():
            raise Unreachable("lost")
        hub.call_later(0.05, lose)

    if hub is not None:
        hub.call_soon(lose)
        return {"ok": "will be lost"}
    drain = connection.drain_events

    def drain_until_lost(**options: Any) -> Any:
        if is_open():
            raise Unreachable("lost")
        return drain(**options)

    # A pool of greenlets has no hub: there the main loop waits for this.
    connection.drain_events = drain_until_lost
    return {"ok": "will be lost"}
