"""``python -m benchmarks.events``, small: it comes through, and counts."""

from __future__ import annotations

import re

import pytest

from benchmarks.events import main

pytestmark = pytest.mark.acceptance


def test_heartbeats_of_a_worker_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    """One scene for a few seconds: a heartbeat or more, by the hour."""
    main(["--only", "heartbeat every 2 s", "--seconds", "3", "--rest", "0"])
    head, line = capsys.readouterr().out.splitlines()
    assert head == "calls per process and hour, from 3 s"
    counted = re.fullmatch(r"heartbeat every 2 s, worker: [\d,]+ \((.*)\)", line)
    assert counted is not None
    heartbeats = re.search(r"PublishBatch ([\d,]+)", counted[1])
    assert heartbeats is not None
    assert int(heartbeats[1].replace(",", "")) in {1200, 2400, 3600}
