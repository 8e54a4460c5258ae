"""The demo is an acceptance test of its own: it checks every step, and it cleans up however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.acceptance

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"
#: A mark that all processes of one demo inherit.
MARK = "KOMBU_SNS_SQS_DEMO_UNDER_TEST"
#: What a shell may be set up for, and the demo must not be led astray by: nobody listens on port 9.
ELSEWHERE = {
    "AWS_ENDPOINT_URL_SQS": "http://127.0.0.1:9",
    "AWS_PROFILE": "none-of-this-name",
    "AWS_SESSION_TOKEN": "of-another-account",
    "CELERY_BROKER_URL": "amqp://127.0.0.1:9",
    "http_proxy": "http://127.0.0.1:9",
}


def start(mark: str, **environment: str) -> subprocess.Popen[str]:
    """Start the demo in a session of its own, as a terminal would."""
    return subprocess.Popen(
        [sys.executable, str(DEMO)],
        env={**os.environ, **environment, MARK: mark},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def marked(mark: str) -> dict[int, str]:
    """Command lines of the processes that bear a mark, by process id."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (process / "environ").read_bytes():
                found[int(process.name)] = (process / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
    return found


def wait_until_it_says(demo: subprocess.Popen[str], words: str = "are ready") -> None:
    """A demo comes to a point, by default to its first step, which its workers are ready for."""
    assert demo.stdout is not None
    assert any(words in line for line in demo.stdout)


def wait_until_none(mark: str) -> None:
    """All processes of a demo end."""
    deadline = time.monotonic() + 15
    while left := marked(mark):
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are found by /proc")
def test_the_demo_holds_what_it_says_in_less_than_a_minute() -> None:
    """Exit status 0, all six steps, and no process left, in a shell that is set up for something else."""
    began = time.monotonic()
    demo = start("whole", **ELSEWHERE)
    output, _ = demo.communicate(timeout=90)
    assert demo.returncode == 0, output
    assert time.monotonic() - began < 60
    assert "✗" not in output
    assert [f"\n{number}. " in output for number in range(1, 7)] == [True] * 6
    wait_until_none("whole")


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are found by /proc")
@pytest.mark.parametrize(("number", "words"), [(signal.SIGTERM, "are ready"), (signal.SIGINT, "✓ ping")])
def test_an_interrupted_demo_leaves_no_process(number: int, words: str) -> None:
    """An end from outside, or Ctrl-C when it has queues of its own: those go while there is a service to ask."""
    demo = start(f"interrupted-{number}")
    wait_until_it_says(demo, words)
    demo.send_signal(number)
    output, _ = demo.communicate(timeout=60)
    assert demo.returncode == 128 + number, output
    assert "could not be deleted" not in output
    wait_until_none(f"interrupted-{number}")


def test_an_interruption_that_python_dropped_is_raised_again() -> None:
    """An exception of a handler is lost where a destructor is at work: an import of the demo's may be."""
    program = """
import signal
from interruption import Interrupted, Interruption

interruption = Interruption()
interruption.listen()

class Dropping:
    def __del__(self):
        signal.raise_signal(signal.SIGTERM)

Dropping()
try:
    interruption.check()
except Interrupted as interrupted:
    print(interrupted.exit_status)
"""
    environment = {**os.environ, "PYTHONPATH": str(DEMO.with_suffix(""))}
    ran = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert "ignored" in ran.stderr
    assert ran.stdout == "143\n"


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are found by /proc")
def test_a_demo_that_does_not_hold_fails_and_shows_why() -> None:
    """A worker is killed behind its back: exit status 1, what was expected, the ends of the logs, no process left."""
    demo = start("broken")
    wait_until_it_says(demo)
    victim = next(pid for pid, command in marked("broken").items() if "-n w2@demo" in command)
    os.killpg(os.getpgid(victim), signal.SIGKILL)
    output, _ = demo.communicate(timeout=120)
    assert demo.returncode == 1
    assert "✗" in output
    assert "expected" in output
    assert "the end of w1's log" in output
    wait_until_none("broken")
