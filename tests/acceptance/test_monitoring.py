"""What an ordinary worker logs, which is nothing of ours, and what its processes count."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

from .conftest import Site

if TYPE_CHECKING:
    from pathlib import Path

    from kombu_sns_sqs.local import LocalService

    from .workers import Worker

pytestmark = pytest.mark.acceptance


@pytest.fixture(scope="module")
def ended(service: LocalService, tmp_path_factory: pytest.TempPathFactory) -> tuple[Worker, Path]:
    """A prefork worker with a monitor that has started, worked and stopped, and the folder of its counts."""
    folder = tmp_path_factory.mktemp("monitored")
    # Patient: on a busy machine an answer that is late is not what this is about.
    site = Site(service, folder, "hooks=prometheus&read_timeout=60&connect_timeout=60")
    counts = folder / "counts"
    counts.mkdir()
    named = {"LOG_FORMAT": "%(levelname)s <%(name)s> %(message)s", "PROMETHEUS_MULTIPROC_DIR": str(counts)}
    with site.worker("w1", "prefork", "-E", **named) as worker:
        assert site.ask("add.delay(1, 1).get(timeout=30)") == 2
        site.ask("[announce.delay('x').id, delegate.delay('d').id, patient.delay().get(timeout=30)]")
        asked = "trace.apply_async(headers={'AWSTraceHeader': 'Root=1-5759e988-bd86'}).get(timeout=30)"
        assert site.ask(asked) == "Root=1-5759e988-bd86"
        site.wait_for_notes(lambda notes: {"heard", "end"} <= {note.split()[0] for note in notes})
        assert site.ask("app.control.inspect(timeout=20, limit=1).stats()")
    return worker, counts


def test_an_ordinary_start_run_and_stop_logs_nothing_of_ours(ended: tuple[Worker, Path]) -> None:
    """Tasks, results, a retry, a broadcast, remote control: Celery's own lines are there, and no other."""
    output = ended[0].output
    loggers = set(re.findall(r"^[A-Z]+ <([\w.]+)>", output, re.MULTILINE))
    assert "celery.worker.strategy" in loggers, output
    assert [line for line in output.splitlines() if "<kombu_sns_sqs" in line or "<celery_integration" in line] == []


def test_every_process_of_a_worker_counts_what_it_does(ended: tuple[Worker, Path]) -> None:
    """The main one what is received and acked, the children what tasks publish; together they have it all."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(ended[1]))  # type: ignore[no-untyped-call]

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"kombu_sns_sqs_{name}_total", labels)

    assert value("received_messages", queue="celery", redelivered="false") == 6
    assert value("settled_messages", queue="celery", how="ack", reason="") == 6
    # A task that a task has published, and a retry.
    assert value("published_messages", service="sqs", destination="celery", outcome="sent") == 2
    results = value("published_messages", service="sqs", destination="{uuid}", outcome="sent")
    assert results is not None
    assert results >= 2
    assert len(list(ended[1].glob("counter_*.db"))) > 1
