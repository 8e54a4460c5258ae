"""Callers of remote control and of `rpc://`: many calls, many threads, several processes, and what they leave."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from .conftest import HERE

if TYPE_CHECKING:
    from .conftest import Site

pytestmark = pytest.mark.acceptance

BOTH = ["w1@test", "w2@test"]


def all_at_once(site: Site, expression: str, processes: int) -> list[Any]:
    """Evaluate an expression in several client processes at the same time."""
    code = f"import json; from control_client import *; print(json.dumps({expression}))"
    clients = [
        subprocess.Popen(
            [sys.executable, "-c", code], cwd=HERE, env=site.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(processes)
    ]
    answers = []
    for client in clients:
        output, errors = client.communicate(timeout=120)
        assert client.returncode == 0, errors.decode()
        answers.append(json.loads(output))
    return answers


def test_two_hundred_calls_in_a_row_make_one_queue_and_leave_none(team: Site) -> None:
    """Of every command in turn, each answered by both workers; counted in requests, and in queues before and after."""
    # Celery looks for results of what is revoked: each worker makes a queue for these, which stays with it.
    assert len(team.ask("app.control.revoke('nobody', reply=True, limit=2, timeout=20)", app="control_client")) == 2
    before = team.queues
    with team.relayed() as relay:
        assert team.ask("ask_in_turn(200)", timeout=120, app="control_client") == {" ".join(BOTH): 200}
    calls = relay.calls
    assert (calls["CreateQueue"], calls["DeleteQueue"]) == (1, 1)
    assert calls["Publish"] == 200
    assert calls["GetQueueUrl"] <= 2
    assert team.queues == before


def test_callers_in_threads_and_processes_get_their_own_answers(team: Site) -> None:
    """All at the same time, with the default second; and they leave no queue."""
    before = team.queues
    answers = all_at_once(team, "at_once(lambda: [nodes(), nodes()], 3)", 3)
    assert answers == [[[BOTH, BOTH]] * 3] * 3
    assert team.queues == before


def test_clients_in_threads_and_processes_get_their_own_results(team: Site) -> None:
    """Over `rpc://`: two processes of two threads, thirty tasks each; and they leave no queue."""
    before = team.queues
    answers = all_at_once(team, "at_once(own_results, 2)", 2)
    assert answers == [[True, True]] * 2
    assert team.queues == before


def test_a_forked_caller_and_its_parent_get_their_own_answers(team: Site) -> None:
    """Of remote control and over `rpc://`, both of which the parent has used before; and they leave no queue."""
    before = team.queues
    answers = team.ask("own_answers_after_a_fork()", app="control_client")
    assert answers == [[BOTH, True, BOTH]] * 3
    assert team.queues == before
