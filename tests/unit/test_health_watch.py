"""The watch over a worker, told of a connection whose state the test makes up."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from celery import signals
from celery.exceptions import ImproperlyConfigured

from celery_integration import HealthProbe
from celery_integration import health as watching
from celery_integration.health import Watch
from celery_integration.pulse import LOOKS
from kombu_sns_sqs import Health, QueueHealth

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Consumer:
    """Celery's, as far as a watch knows it: its loop turns when the test says so."""

    def __init__(self) -> None:
        self.connection = SimpleNamespace(health=Health(connected=True))
        self.asked: list[Any] = []
        self.call_soon = self.asked.append

    def turn(self) -> None:
        """Do what was asked for."""
        while self.asked:
            self.asked.pop()()


@pytest.fixture
def consumer(monkeypatch: pytest.MonkeyPatch) -> Consumer:
    """A consumer that is well."""
    monkeypatch.setattr(watching, "health", lambda connection: connection.health)
    return Consumer()


@pytest.fixture
def watch(tmp_path: Path, consumer: Consumer) -> Iterator[Watch]:
    """A watch that looks when the test says so: an hour is longer than any test."""
    watch = Watch(HealthProbe(file=f"{tmp_path}/%n.alive", seconds=20), "w1@test")
    watch._probe = SimpleNamespace(interval=3600, seconds=1)
    watch.start()
    watch.consumes(consumer)
    yield watch
    watch.stop()


def look(watch: Watch, times: int = 1, consumer: Consumer | None = None) -> list[str]:
    """Look so many times; with a consumer, let its loop turn in between."""
    for _ in range(times):
        watch._look()
        if consumer is not None:
            consumer.turn()
    return list(watch.tell()["complaints"])


def test_a_loop_is_asked_to_turn_once_until_it_has(watch: Watch, consumer: Consumer) -> None:
    """Else what waits for it grows while a task runs for hours."""
    look(watch, 3)
    assert len(consumer.asked) == 1
    consumer.turn()
    look(watch)
    assert len(consumer.asked) == 1


def test_a_loop_that_turns_no_more_is_told_and_logged_once(
    watch: Watch, consumer: Consumer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """And that it turns again; the file goes and comes."""
    file = tmp_path / "w1.alive"
    caplog.set_level("INFO")
    assert look(watch, 20, consumer) == []
    assert (watch.tell()["ready"], file.exists()) == (True, True)
    consumer.asked.clear()
    assert look(watch, 20) == ["the main loop stands still"]
    assert (watch.tell()["ready"], file.exists()) == (False, False)
    assert caplog.text.count("the worker is not healthy, for some 1 s: the main loop stands still") == 1
    consumer.turn()
    assert look(watch, 3, consumer) == []
    assert file.exists()
    assert caplog.text.count("the worker is healthy again") == 1


def test_a_task_in_the_thread_of_the_loop_excuses_it_and_one_in_another_does_not(
    watch: Watch, consumer: Consumer
) -> None:
    """As Celery's signals tell, whatever the pool; one task may run within another."""
    look(watch, 2, consumer)
    for _ in range(2):
        signals.task_prerun.send(sender=None)
    signals.task_postrun.send(sender=None)
    assert look(watch, LOOKS * 3) == []
    signals.task_postrun.send(sender=None)
    other = threading.Thread(target=signals.task_prerun.send, args=(None,))
    other.start()
    other.join()
    assert look(watch, LOOKS) == ["the main loop stands still"]


def test_a_stopping_worker_is_watched_for_its_leases_alone(watch: Watch, consumer: Consumer, tmp_path: Path) -> None:
    """Its loop has ended and nothing is polled; the file goes at once, and does not come back."""
    silent = QueueHealth(queue="q", polls=0, answered_at=None, failures=0, full=False)
    consumer.connection.health = Health(connected=True, queues=(silent,))
    look(watch)
    watch.rests(stopping=True)
    assert not (tmp_path / "w1.alive").exists()
    assert look(watch, LOOKS * 3) == []
    assert (watch.tell()["live"], watch.tell()["ready"]) == (True, False)
    assert not (tmp_path / "w1.alive").exists()
    consumer.connection.health = Health(connected=True, renewals_late=60.0)
    assert look(watch, 2) == ["the thread that renews leases stands still"]


def test_a_worker_that_reconnects_is_borne_with_for_as_long_as_any_silence(watch: Watch, consumer: Consumer) -> None:
    """What the loop of the broken connection was asked for is not waited for."""
    look(watch, 3, consumer)
    look(watch)
    watch.rests(stopping=False)
    consumer.connection = None
    consumer.asked.clear()
    assert look(watch, LOOKS - 1) == []
    assert look(watch) == ["the worker has no connection to its broker"]
    consumer.connection = SimpleNamespace(health=Health(connected=True))
    watch.consumes(consumer)
    assert look(watch, LOOKS * 2, consumer) == []


def test_a_file_that_cannot_be_written_is_told_at_the_start(tmp_path: Path) -> None:
    """Not by a probe that restarts the worker again and again."""
    with pytest.raises(ImproperlyConfigured, match=r"HealthProbe\(file='.*%n.alive'\) cannot be written: "):
        Watch(HealthProbe(file=f"{tmp_path}/missing/%n.alive"), "w1@test")
    Watch(HealthProbe(file=f"{tmp_path}/%n.alive"), "w1@test")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_any_more_is_told_once(
    watch: Watch, consumer: Consumer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """In words that say so, and again after it could."""
    folder = tmp_path.with_name(f"{tmp_path.name}-elsewhere")
    for _ in range(2):
        look(watch, 1, consumer)
        tmp_path.rename(folder)
        look(watch, 3, consumer)
        folder.rename(tmp_path)
    watch.rests(stopping=True)
    told = [record for record in caplog.records if record.levelname == "ERROR"]
    assert ["the health file cannot be touched" in record.getMessage() for record in told] == [True, True]
    assert not any(record.exc_info for record in told)


def test_a_watch_that_has_ended_leaves_nothing(watch: Watch, consumer: Consumer, tmp_path: Path) -> None:
    """No file, no ear for signals."""
    look(watch)
    before = len(signals.task_prerun.receivers)
    watch.stop()
    assert not (tmp_path / "w1.alive").exists()
    assert len(signals.task_prerun.receivers) == before - 1
