"""The settings of an app, held against each other and against what this transport does."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from celery import bootsteps

from celery_integration.app_settings import AppSettings, Finding
from celery_integration.driver import is_ours
from celery_integration.queue_checks import QUEUE_CHECKS
from celery_integration.task_checks import TASK_CHECKS
from kombu_sns_sqs import OptionsError, log_fields, options_of

if TYPE_CHECKING:
    from celery import Celery

__all__ = ("check", "check_at_start")

logger = logging.getLogger(__name__)


def check(app: Celery) -> list[Finding]:
    """Find settings of an app that contradict each other or this transport; nothing is asked of AWS.

    What is found is a warning, not an error: the app works, but not as its settings say. With another broker nothing is
    found. The table of what is looked for is in docs/celery.md.

    Args:
        app: the app, with its tasks: call it when they are imported.
    """
    connection = app.connection_for_read()
    try:
        if not is_ours(connection):
            return []
        settings = AppSettings(app, options_of(connection))
    except OptionsError as exc:
        advice = "see docs/configuration.md for the options there are"
        return [Finding(settings="broker_url, broker_transport_options", problem=str(exc), advice=advice)]
    return [finding for rule in (*TASK_CHECKS, *QUEUE_CHECKS) for finding in rule(settings)]


def check_at_start(app: Celery, wanted: bool) -> None:  # noqa: FBT001
    """Have workers of an app warn of what is found, when they start, or no more."""
    steps = app.steps["worker"]
    (steps.add if wanted else steps.discard)(SettingsCheck)


class SettingsCheck(bootsteps.StartStopStep):
    """Warns of contradictions in the settings, once."""

    def start(self, parent: Any) -> None:
        """Check; a worker is never kept from starting by that."""
        try:
            findings = check(parent.app)
        except Exception:
            logger.exception("the settings could not be checked", extra=log_fields("settings_unchecked"))
            return
        for finding in findings:
            told = log_fields("settings_contradict", settings=finding.settings)
            logger.warning("%s", finding, extra=told)
