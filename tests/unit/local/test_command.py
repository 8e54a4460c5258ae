"""``python -m kombu_sns_sqs.local``."""

from __future__ import annotations

import os
import signal

import pytest

from kombu_sns_sqs.local import ENDPOINT_VARIABLE
from kombu_sns_sqs.local.service import answering
from tests.unit.local.processes import PATIENCE_SECONDS, children, needs_proc, next_line, spawn_command


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_prints_the_url_and_ends_cleanly_on_a_signal(number: signal.Signals) -> None:
    """It says where to go and what it is not for, stops on the signal with status 0, and leaves nothing."""
    command = spawn_command()
    lines: list[str] = []
    while "Ctrl-C" not in (lines or [""])[-1]:
        lines.append(next_line(command))
    url = next(line.strip() for line in lines if "sns-sqs://test:test@" in line)
    endpoint = url.replace("sns-sqs://test:test@", "http://")
    assert answering(endpoint) is not None
    assert any("not for production" in line for line in lines)
    command.send_signal(number)
    assert command.wait(PATIENCE_SECONDS) == 0
    assert answering(endpoint) is None


def test_the_command_prints_the_environment_for_a_shell() -> None:
    """With ``--env`` each line can be read by a shell, and leads ``sns-sqs://local`` there."""
    command = spawn_command("--env")
    lines = [next_line(command) for _ in range(5)]
    environment = dict(line.removeprefix("export ").strip().split("=", 1) for line in lines)
    assert answering(environment[ENDPOINT_VARIABLE]) is not None
    assert (environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"]) == ("test", "test")
    command.terminate()
    assert command.wait(PATIENCE_SECONDS) == 0


@needs_proc
def test_the_command_reports_an_emulator_that_ends_by_itself() -> None:
    """A service that is gone is not pretended to be there: status 1, and a word why."""
    command = spawn_command("--env")
    assert next_line(command).startswith("export ")
    (keeper,) = children(command.pid)
    os.kill(keeper, signal.SIGKILL)
    assert command.wait(PATIENCE_SECONDS) == 1
    assert command.stderr is not None
    assert "ended by itself" in command.stderr.read()
