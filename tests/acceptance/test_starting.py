"""What three workers ask of AWS when they start one after the other, and end: docs/costs.md has the table."""

from __future__ import annotations

import signal
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.costs import DATA_PLANE, END, START
from tests.faults.relay import Relay

from .conftest import Site

if TYPE_CHECKING:
    from pathlib import Path

    from kombu_sns_sqs.local import LocalService

    from .workers import Worker

pytestmark = pytest.mark.acceptance


def calls(relay: Relay) -> Counter[str]:
    """What has been asked for, but for what carries messages."""
    return Counter({action: count for action, count in relay.calls.items() if action not in DATA_PLANE})


def test_the_third_start_costs_what_the_second_does_and_so_do_their_ends(service: LocalService, tmp_path: Path) -> None:
    """Call by call, as the page says, to which the simulation of a thousand is held. Nobody sweeps here."""
    site = Site(service, tmp_path, "sweep_period=86400")
    address, url = service.endpoint_url.removeprefix("http://"), site.environment["BROKER_URL"]
    running: list[tuple[Worker, Relay]] = []
    starts: list[Counter[str]] = []
    with ExitStack() as stack:
        for name in ("w1", "w2", "w3"):
            relay = stack.enter_context(Relay(service.endpoint_url))
            through = url.replace(address, relay.url.removeprefix("http://"))
            worker = stack.enter_context(site.worker(name, "solo", app="plain_app", BROKER_URL=through))
            # Whether there are scheduled tasks is asked last, when it receives.
            assert relay.wait_for("GetQueueUrl", START["GetQueueUrl"])
            starts.append(calls(relay))
            running.append((worker, relay))
        assert starts[1:] == [START, START]
        assert starts[0].total() >= START.total()
        # Who was there has looked for the queue in which a newcomer waits for answers.
        for newcomers, (_, relay) in enumerate(reversed(running)):
            assert relay.wait_for("GetQueueUrl", START["GetQueueUrl"] + newcomers)
        before = [calls(relay) for _, relay in running]
        for worker, _ in running:
            worker.send(signal.SIGTERM)
        assert [worker.wait() for worker, _ in running] == [0, 0, 0]
        assert [calls(relay) - seen for (_, relay), seen in zip(running, before, strict=True)] == [END, END, END]
