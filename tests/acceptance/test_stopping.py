"""A stop takes no message along, and comes to an end though the network does not answer.

Times are scaled down; as with the defaults, a long poll is longer than ``shutdown_timeout``.
"""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from .conftest import Site

if TYPE_CHECKING:
    from pathlib import Path

    from kombu_sns_sqs.local import LocalService

pytestmark = pytest.mark.acceptance


@pytest.fixture
def impatient(service: LocalService, tmp_path: Path) -> Site:
    """A fresh name prefix whose workers have a poll open for longer than a stop takes otherwise."""
    site = Site(service, tmp_path, "shutdown_timeout=1&read_timeout=2&connect_timeout=2")
    site.environment["BROKER_URL"] = site.environment["BROKER_URL"].replace(
        "wait_time_seconds=2", "wait_time_seconds=6"
    )
    return site


def test_what_is_sent_after_a_stop_is_not_taken_by_the_polls_of_the_stopped(impatient: Site) -> None:
    """An idle worker; what its open poll took would be away for a lease, a minute."""
    site = impatient
    with site.worker("first", "prefork") as first:
        first.send(signal.SIGTERM)
        assert first.wait() == 0
    site.ask("work.delay('task', 0).id")
    with site.worker("second", "solo") as second:
        site.wait_for_notes(lambda notes: "end task second@test" in notes)
        second.kill()


def test_a_stop_ends_though_the_service_answers_nothing(service: LocalService, impatient: Site) -> None:
    """The service is there and silent, as behind a broken network, and was for some heartbeats before the signal."""
    with impatient.worker("w1", "solo", "--heartbeat-interval", "1") as worker:
        os.kill(service.pid, signal.SIGSTOP)
        try:
            time.sleep(3)
            worker.send(signal.SIGTERM)
            assert worker.wait(25) == 0
        finally:
            os.kill(service.pid, signal.SIGCONT)
    assert "temporary queues could not be deleted" in worker.output
