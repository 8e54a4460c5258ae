"""However its owner ends, no emulator is left; and nobody but its owner ends it."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from kombu_sns_sqs.local import LocalService
from tests.unit.local.processes import USES_LOCAL, alive, each_emulator, eventually, next_line, python, spawn


@each_emulator
def test_kill_9_of_the_owner_leaves_no_emulator(emulator: str, litter: Path) -> None:
    """An owner that cannot say goodbye, with a forked child that lives on, takes its emulator along all the same."""
    code = (
        "import os, time; from kombu_sns_sqs.local import LocalService\n"
        f"service = LocalService.start(emulator={emulator!r})\n"
        "child = os.fork()\n"
        "if child: print(service.pid, child, flush=True)\n"
        "time.sleep(600)"
    )
    owner = spawn(code)
    pid, child = (int(word) for word in next_line(owner).split())
    try:
        assert alive(pid)
        owner.kill()
        owner.wait()
        eventually(lambda: not alive(pid) and not list(litter.iterdir()))
        assert alive(child)
    finally:
        os.kill(child, signal.SIGKILL)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's death")
def test_kill_9_of_the_keeper_leaves_no_emulator() -> None:
    """The process between us and the emulator is no weak point."""
    with LocalService.start() as service:
        assert service.pid is not None
        os.kill(os.getsid(service.pid), signal.SIGKILL)
        eventually(lambda: not alive(service.pid))
        assert not service.running


def test_an_owner_that_just_exits_leaves_no_emulator() -> None:
    """Nobody needs to call ``stop``."""
    done = python("from kombu_sns_sqs.local import LocalService; print(LocalService.start().pid)")
    assert not alive(int(done.stdout))


def test_a_service_outlives_the_thread_that_started_it() -> None:
    """A pool's thread may start it: it belongs to the process."""
    code = (
        "import threading; from kombu_sns_sqs.local import LocalService, service as module; started = []\n"
        "thread = threading.Thread(target=lambda: started.append(LocalService.start()))\n"
        "thread.start(); thread.join()\n"
        "print(started[0].running and module.answering(started[0].endpoint_url).name)"
    )
    assert python(code).stdout.strip() in {"ministack", "moto"}


def test_a_forked_child_does_not_stop_the_service() -> None:
    """Neither a child's ``stop`` nor its exit, with exit handlers run, ends what the parent owns, or hides it."""
    code = (
        "import os, sys; from kombu_sns_sqs.local import ENDPOINT_VARIABLE\n"
        f"{USES_LOCAL}\n"
        "child = os.fork()\n"
        "if not child: service.stop(); sys.exit(not (service.running and ENDPOINT_VARIABLE in os.environ))\n"
        "print(os.waitpid(child, 0)[1], service.running)"
    )
    assert python(code).stdout.split() == ["0", "True"]
