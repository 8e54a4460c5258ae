"""A camera for `celery events`: notes what each of its pictures shows."""

from __future__ import annotations

from typing import Any

from app import note
from celery.events.snapshot import Polaroid


class Camera(Polaroid):  # type: ignore[misc]
    """Takes pictures of the cluster."""

    def on_shutter(self, state: Any) -> None:
        """Note who is alive, and how many tasks have come to what."""
        alive = ",".join(sorted(worker.hostname for worker in state.alive_workers()))
        states = ",".join(sorted(f"{task.name}={task.state}" for task in state.tasks.values()))
        note(f"picture {alive or 'nobody'} {states or 'nothing'}")
