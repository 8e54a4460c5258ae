"""The app of tasks with a gate, with all that `install` has for whoever watches its workers."""

from __future__ import annotations

import os

from gated_app import app

from celery_integration import HealthProbe, install

probe = HealthProbe(
    file=f"{os.environ['HEALTH']}/%n.alive",
    address=os.environ["HEALTH_ADDRESS"],
    seconds=float(os.environ.get("HEALTH_SECONDS", "5")),
)
install(app, health=probe)
