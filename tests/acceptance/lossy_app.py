"""The app of tasks with a gate, whose workers lose their connection when they are told to."""

from __future__ import annotations

import json
import os
from typing import Any

from celery.worker.control import control_command
from gated_app import app

from kombu_sns_sqs.errors import Unreachable

app.conf.update(json.loads(os.environ.get("SETTINGS", "{}")))


@control_command(args=[("cancel", bool)])
def lose_connection(state: Any, cancel: bool = False) -> None:
    """Have an error of the connection reach Celery, as one does that a blocking verb on the event loop meets."""
    state.app.conf.worker_cancel_long_running_tasks_on_connection_loss = cancel

    def lose() -> None:
        raise Unreachable("lost")

    state.consumer.hub.call_soon(lose)
