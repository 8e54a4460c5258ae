"""Settings of a Celery app that contradict each other: a finding where they do, and none where they do not."""

from __future__ import annotations

import logging
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from celery.worker.consumer.mingle import Mingle
from kombu import Exchange, Queue
from kombu.common import Broadcast

from celery_integration import check, install
from celery_integration.checks import SettingsCheck
from kombu_sns_sqs import Hooks, quotas

URL = "sns-sqs://k:s@127.0.0.1:1?region=us-east-1"
DAY = 86_400
RETENTION = {"queue_attributes": {"MessageRetentionPeriod": 600}}
ONE_URL = {name: {"url": "https://sqs.us-east-1.amazonaws.com/123456789012/q"} for name in ("a", "b")}
PREDEFINED = {"predefined_queues": {"celery": {"url": "https://sqs.us-east-1.amazonaws.com/123456789012/celery"}}}
ASSUME = {"topology": "assume"}
PRIVATE = "bcast.1b4e28ba-2fa1-41d2-883f-0016d3cca427"
DEAD_LETTERS = [Queue("celery", queue_arguments={"x-max-receive-count": 5})]


def app_with(
    task: dict[str, Any] | None = None, *, broker: str = URL, options: dict[str, Any] | None = None, **settings: Any
) -> Celery:
    """An app with one task, which never connects."""
    app = Celery(broker=broker, set_as_current=False)
    app.conf.update(settings)
    app.conf.broker_transport_options = options or {}
    app.task(name="work", shared=False, **(task or {}))(work)
    return app


def work() -> None:
    """Do nothing."""


#: What is wrong, what the finding says of it, and how the same is right.
CONTRADICTIONS: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "reject on worker lost": (
        {"task_reject_on_worker_lost": True},
        "task_reject_on_worker_lost: has no effect, since no task is acked late; set task_acks_late = True",
        {"task_reject_on_worker_lost": True, "task": {"acks_late": True}},
    ),
    "a task's reject on worker lost": (
        {"task": {"reject_on_worker_lost": True}},
        "reject_on_worker_lost: has no effect, since 'work' is acked before it runs; set acks_late=True",
        {"task": {"reject_on_worker_lost": True, "acks_late": True}},
    ),
    "no ack on failure": (
        {"task_acks_on_failure_or_timeout": False},
        "task_acks_on_failure_or_timeout: has no effect, since no task is acked late",
        {"task_acks_on_failure_or_timeout": False, "task_acks_late": True, "task_queues": DEAD_LETTERS},
    ),
    "a task's no ack on failure": (
        {"task": {"acks_on_failure": False}},
        "acks_on_failure: has no effect, since 'work' is acked before it runs",
        {"task": {"acks_on_failure": False, "acks_late": True}, "task_queues": DEAD_LETTERS},
    ),
    "no ack on timeout": (
        {"task_acks_on_timeout": False},
        "task_acks_on_timeout: has no effect, since no task is acked late",
        {"task_acks_on_timeout": False, "task_acks_late": True},
    ),
    "cancelled on connection loss": (
        {"worker_cancel_long_running_tasks_on_connection_loss": True},
        "worker_cancel_long_running_tasks_on_connection_loss: has no effect, since no task is acked late",
        {"worker_cancel_long_running_tasks_on_connection_loss": True, "task_acks_late": True},
    ),
    "failed tasks discarded": (
        {"task_acks_on_failure_or_timeout": False, "task_acks_late": True},
        "'work' is rejected when it fails, and discarded, as 'celery' has no place for dead letters",
        {
            "task_acks_on_failure_or_timeout": False,
            "task_acks_late": True,
            "options": {"queue_attributes": {"RedrivePolicy": "{}"}},
        },
    ),
    "thirteen hours in a FIFO queue": (
        {"task_acks_late": True, "task_time_limit": 13 * 3600, "task_default_queue": "celery.fifo"},
        "task_time_limit: messages of 'celery.fifo' cannot be held for more than 12 hours, and 'work' may run for",
        {"task_acks_late": True, "task_time_limit": 13 * 3600},
    ),
    "thirteen hours in a predefined queue": (
        {"task": {"acks_late": True, "time_limit": 13 * 3600}, "options": PREDEFINED},
        "messages of 'celery' cannot be held for more than 12 hours",
        {"task": {"acks_late": False, "time_limit": 13 * 3600}, "options": PREDEFINED},
    ),
    "a long countdown in a worker": (
        {"task": {"default_retry_delay": DAY}, "options": {**PREDEFINED, "eta_by_sqs": False}},
        "'work' waits in a worker for more than 12 hours, and its message cannot be held for longer",
        {"task": {"default_retry_delay": DAY}, "options": PREDEFINED},
    ),
    "a long countdown of beat's": (
        {
            "beat_schedule": {"nightly": {"task": "work", "schedule": DAY, "options": {"countdown": DAY}}},
            "options": {"topology": "validate", "eta_by_sqs": False},
        },
        "'nightly' waits in a worker for more than 12 hours",
        {"beat_schedule": {"nightly": {"task": "work", "schedule": DAY, "options": {"countdown": DAY}}}},
    ),
    "a visibility timeout for other brokers": (
        {"options": {"visibility_timeout": 43_200}},
        "what a killed worker held stays away for 43200 s",
        {"options": {"visibility_timeout": 300}, "task_time_limit": 3600, "task_acks_late": True},
    ),
    "no retry": (
        {"broker_connection_retry": False},
        "broker_connection_retry: False does not end a worker whose broker has gone away",
        {"broker_connection_retry_on_startup": False},
    ),
    "no pool of connections": (
        {"broker_pool_limit": None},
        "broker_pool_limit: with None every message has a connection of its own",
        {"broker_pool_limit": 1},
    ),
    "a priority without levels": (
        {"task_default_priority": 3},
        "task_default_priority: has no effect, since 'celery' has no levels of priority",
        {"task_default_priority": 3, "task_queue_max_priority": 5},
    ),
    "a task's priority without levels": (
        {"task": {"priority": 3}},
        "priority: has no effect",
        {"task": {"priority": 3}, "task_queues": [Queue("celery", max_priority=5)]},
    ),
    "too many levels": (
        {"task_queue_max_priority": 255},
        "task_queues: queue 'celery': PRECONDITION_FAILED - invalid arg 'x-max-priority': 255 is more than 10",
        {"task_queue_max_priority": 10},
    ),
    "levels of a predefined queue": (
        {"task_queue_max_priority": 3, "options": PREDEFINED},
        "x-max-priority: has no effect on queue 'celery', which is predefined",
        {"task_queue_max_priority": 3, "options": {"predefined_queues": {}}},
    ),
    "levels that are assumed": (
        {"task_queue_max_priority": 3, "options": ASSUME, "worker_enable_remote_control": False},
        "x-max-priority: has no effect on queue 'celery', which is taken as it is",
        {"task_queue_max_priority": 3, "options": {"topology": "validate"}},
    ),
    "an unknown type of exchange": (
        {"task_queues": [Queue("celery", Exchange("e", type="headers"))]},
        "queue 'celery' is bound to an exchange of type 'headers'; use one of direct, fanout, topic",
        {"task_queues": [Queue("celery", Exchange("e", type="topic"))]},
    ),
    "a queue named like dead letters": (
        {"task_queues": [Queue("a", queue_arguments={"x-max-receive-count": 3}), Queue("a-dead")]},
        "'a-dead' is where the dead letters of queue 'a' go, and a worker that consumes from it runs them again",
        {
            "task_queues": [
                Queue("a", queue_arguments={"x-max-receive-count": 3, "x-dead-letter-queue": "a-dead"}),
                Queue("a-dead"),
            ]
        },
    ),
    "two names for one queue": (
        {"options": {"predefined_queues": ONE_URL}},
        "'a', 'b' are one SQS queue: what is sent to one is received from the other",
        {"options": {"predefined_queues": {"a": ONE_URL["a"], "b": {"url": ONE_URL["b"]["url"] + "2"}}}},
    ),
    "remote control without bindings": (
        {"options": ASSUME},
        "no command of remote control reaches a worker; use topology='create' or 'validate', or set worker_enable",
        {"options": ASSUME, "worker_enable_remote_control": False},
    ),
    "broadcast without bindings": (
        {
            "options": ASSUME,
            "worker_enable_remote_control": False,
            "task_queues": [Queue("celery"), Broadcast("all", queue=PRIVATE)],
        },
        f"with 'assume' nothing is made or bound, and '{PRIVATE}' is this process's own",
        {"task_queues": [Queue("celery"), Broadcast("all")]},
    ),
    "a short retention": (
        {"options": RETENTION},
        "a queue that keeps messages for 600 s may lose a task with a countdown",
        {"options": {**RETENTION, "eta_by_sqs": False}},
    ),
    "results for longer than SQS keeps them": (
        {"result_backend": "rpc://", "result_expires": timedelta(days=5)},
        "results on rpc:// are gone after 345600 s, as long as SQS keeps a message, and not after 432000 s",
        {
            "result_backend": "rpc://",
            "result_expires": timedelta(days=5),
            "options": {"queue_attributes": {"MessageRetentionPeriod": quotas.MAX_RETENTION_SECONDS}},
        },
    ),
    "results for ever": (
        {"result_backend": "rpc://", "result_expires": None},
        "and not after no time at all",
        {"result_backend": "redis://", "result_expires": None},
    ),
    "a beat of nothing": (
        {"beat_schedule": {"nightly": {"schedule": DAY, "options": {"queue": "celery"}}}},
        "beat_schedule: 'nightly' names no task",
        {"beat_schedule": {"nightly": {"task": "work", "schedule": DAY, "options": {"queue": "celery"}}}},
    ),
    "a URL that cannot be read": (
        {"broker": "sns-sqs://AKID@host"},
        "broker_url, broker_transport_options: the part of the broker URL before '@' is not key:secret",
        {"broker": "sns-sqs://AKID:SECRET@host?region=us-east-1"},
    ),
    "an unknown option": (
        {"options": {"visiblity_timeout": 60}},
        "broker_url, broker_transport_options: unknown option 'visiblity_timeout'",
        {"options": {"visibility_timeout": 60}},
    ),
}


@pytest.fixture(autouse=True)
def no_mingling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever other tests have installed."""
    monkeypatch.setattr(Mingle, "compatible_transports", {"amqp"})


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_contradiction_is_found_once_and_its_right_form_is_not(name: str) -> None:
    """One finding, which says what is wrong and what to set; none where the same is meant and works."""
    wrong, says, right = CONTRADICTIONS[name]
    findings = [str(finding) for finding in check(app_with(**wrong))]
    assert len(findings) == 1
    assert says in findings[0]
    assert check(app_with(**right)) == []


@pytest.mark.parametrize("settings", [{}, {"result_backend": "rpc://"}, {"task_acks_late": True}], ids=str)
def test_celerys_defaults_are_no_contradiction(settings: dict[str, Any]) -> None:
    """Nor is what most apps add to them."""
    assert check(app_with(**settings)) == []


def test_mingling_with_an_assumed_topology_is_a_contradiction() -> None:
    """It wants a queue for replies."""
    settings = {"options": ASSUME, "worker_enable_remote_control": False}
    app = app_with(**settings)
    install(app, batches=False)
    assert "a worker that mingles does not start" in str(check(app)[0])
    install(app, mingle=False, batches=False)
    assert check(app) == []


def test_settings_for_another_broker_are_not_judged() -> None:
    """They mean something else there."""
    wrong = {"task_reject_on_worker_lost": True, "broker_connection_retry": False}
    assert check(app_with(broker="memory://", **wrong)) == []
    assert len(check(app_with(**wrong))) == 2


def test_a_task_that_is_retried_even_when_it_is_rejected_is_not_discarded() -> None:
    """Its queue needs no place for dead letters."""
    failing = {"task_acks_on_failure_or_timeout": False, "task_acks_late": True}
    retried = {"backoff_policy": {1: 10, 2: 60}, "backoff_tasks": ["work"]}
    assert len(check(app_with(**failing))) == 1
    assert check(app_with(**failing, options=retried)) == []
    assert len(check(app_with(**failing, options={**retried, "backoff_tasks": ["other"]}))) == 1


@pytest.mark.parametrize("hooks", [Hooks, Hooks(), "kombu_sns_sqs:Hooks"], ids=["class", "object", "path"])
def test_an_option_that_is_no_text_is_read_as_by_a_connection(hooks: Any) -> None:
    """A class, an object, or the name of one."""
    assert check(app_with(options={"hooks": hooks})) == []


ELSEWHERE = {"task_routes": {"work": {"queue": "safe"}}}
TWO_QUEUES = [Queue("celery"), Queue("safe", queue_arguments={"x-max-receive-count": 5}), Queue("fast.fifo")]


def test_a_task_is_judged_by_the_queue_it_is_sent_to() -> None:
    """By its route or its own word, and not by what else the worker consumes from; nor where a router cannot tell."""
    failing = {"task_acks_on_failure_or_timeout": False, "task_acks_late": True, "task_queues": TWO_QUEUES}
    assert len(check(app_with(**failing))) == 1
    assert check(app_with(**failing, **ELSEWHERE)) == []
    assert check(app_with({"queue": "safe"}, **failing)) == []
    assert check(app_with(**failing, task_routes=(lambda name, args, *_others, **_more: args[0],))) == []
    long = {"task_acks_late": True, "task_time_limit": 13 * 3600, "task_queues": TWO_QUEUES}
    assert check(app_with(**long)) == []
    assert len(check(app_with({"queue": "fast.fifo"}, **long))) == 1


def test_levels_of_queues_that_others_consume_from_are_levels() -> None:
    """A worker of one queue does not warn of what is said for another."""
    app = app_with(task_default_priority=3, task_queues=[Queue("a"), Queue("b", max_priority=5)])
    app.amqp.queues.select(["a"])
    assert check(app) == []


def test_only_queues_that_are_consumed_from_are_looked_at() -> None:
    """A worker with ``-Q`` warns of its own."""
    app = app_with(task_queues=[Queue("a"), Queue("b", queue_arguments={"x-max-priority": 99})])
    assert len(check(app)) == 1
    app.amqp.queues.select(["a"])
    assert check(app) == []


def test_a_worker_says_what_is_found_when_it_starts(caplog: pytest.LogCaptureFixture) -> None:
    """In a warning for each, and starts; ``checks=False`` leaves it out."""
    app = install(app_with(broker_connection_retry=False), mingle=False, batches=False)
    assert SettingsCheck in app.steps["worker"]
    worker = SimpleNamespace(app=app, steps=[])
    SettingsCheck(worker).start(worker)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "broker_connection_retry" in caplog.text
    assert SettingsCheck not in install(app, mingle=False, batches=False, checks=False).steps["worker"]


def test_a_check_that_fails_keeps_no_worker_from_starting(caplog: pytest.LogCaptureFixture) -> None:
    """It is told; the worker's own start is what tells the rest."""
    worker = SimpleNamespace(app=app_with(task_queues=7), steps=[])
    SettingsCheck(worker).start(worker)
    assert "the settings could not be checked" in caplog.text
