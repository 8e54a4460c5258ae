"""Processes of the tests: started, read, looked at; and the marks that say what a test needs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kombu_sns_sqs.local import emulators

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[3]
PATIENCE_SECONDS = 30.0
USES_LOCAL = "from kombu_sns_sqs.local import endpoint_for_local as get; service = get()"

STRICT = os.environ.get("CI_STRICT") == "1"  # then what is missing fails instead
needs_ministack = pytest.mark.skipif(not (STRICT or emulators.MINISTACK.find()), reason="ministack is not installed")
needs_moto = pytest.mark.skipif(not (STRICT or emulators.MOTO.find()), reason="moto's server is not installed")
needs_proc = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="no /proc here")
each_emulator = pytest.mark.parametrize(
    "emulator", [pytest.param("ministack", marks=needs_ministack), pytest.param("moto", marks=needs_moto)]
)

spawned: list[subprocess.Popen[str]] = []


def spawn(code: str) -> subprocess.Popen[str]:
    """Start a Python that runs *code*; it is killed at the end of the test if it still runs."""
    return _spawn_python("-c", code)


def spawn_command(*arguments: str) -> subprocess.Popen[str]:
    """Start the command of the local service, likewise."""
    return _spawn_python("-m", "kombu_sns_sqs.local", *arguments)


def _spawn_python(*arguments: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    spawned.append(process)
    return process


def python(code: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run *code* in a Python of its own, to its end."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=check,
        timeout=2 * PATIENCE_SECONDS,
    )


def next_line(process: subprocess.Popen[str]) -> str:
    """Wait for the next line that *process* prints."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.stderr and process.stderr.read()
    return line


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until *holds*, and fail when it takes too long."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def alive(pid: int | None) -> bool:
    """Whether a process is there and no zombie: in a container nobody may reap an orphan."""
    assert pid is not None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return not Path("/proc/self").exists() or _status(pid)[0] not in {"Z", "gone"}


def children(parent: int) -> list[int]:
    """The processes whose parent is *parent*."""
    processes = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
    return [pid for pid in processes if _status(pid)[1] == str(parent)]


def _status(pid: int) -> list[str]:
    """The state of a process, its parent, and what else the kernel tells after its name."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ["gone", ""]
