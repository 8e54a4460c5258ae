"""``sns-sqs://local``: one service for one tree of processes."""

from __future__ import annotations

import multiprocessing
import os
import socket

import pytest

from kombu_sns_sqs.local import ENDPOINT_VARIABLE, LocalService, LocalServiceError, endpoint_for_local
from tests.unit.local.processes import PATIENCE_SECONDS, USES_LOCAL, python


def test_a_spawned_child_shares_the_service(shared: LocalService) -> None:
    """A second process of the tree finds the first one's service instead of starting its own."""
    done = python(f"{USES_LOCAL}; print(service.endpoint_url, service.emulator, service.pid); service.stop()")
    assert [shared.endpoint_url, shared.emulator, "None"] == done.stdout.split()
    assert shared.running


def test_a_forked_child_shares_the_service(shared: LocalService) -> None:
    """A pool's child, which has the parent's memory but not its processes, uses the same one."""
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    child = context.Process(target=lambda: answers.put(endpoint_for_local().endpoint_url))
    child.start()
    child.join(PATIENCE_SECONDS)
    assert shared.endpoint_url == answers.get()
    assert shared.running


def test_one_process_has_one_service(shared: LocalService) -> None:
    """Later uses get what the first one started, and a stopped one is replaced."""
    assert shared is endpoint_for_local()
    shared.stop()
    assert ENDPOINT_VARIABLE not in os.environ
    with endpoint_for_local() as another:
        assert another.running
        assert another is not shared


def test_a_service_that_no_longer_answers_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address of a service that is gone is replaced, not followed."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        stale = f"http://127.0.0.1:{closed.getsockname()[1]}"
    monkeypatch.setenv(ENDPOINT_VARIABLE, stale)
    with endpoint_for_local() as service:
        assert stale != service.endpoint_url
        assert service.endpoint_url == os.environ[ENDPOINT_VARIABLE]


@pytest.mark.parametrize("endpoint", ["https://sqs.us-east-1.amazonaws.com", "http://192.0.2.1:4566", "127.0.0.1"])
def test_an_endpoint_off_this_machine_is_refused(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is called local never leaves the machine."""
    monkeypatch.setenv(ENDPOINT_VARIABLE, endpoint)
    with pytest.raises(LocalServiceError, match="loopback"):
        endpoint_for_local()


def test_it_says_once_that_it_is_not_for_production(caplog: pytest.LogCaptureFixture) -> None:
    """One warning at the start, none at the second use."""
    with endpoint_for_local():
        endpoint_for_local()
    assert sum("not for production" in record.message for record in caplog.records) == 1
