"""The keeper: a small process that stands between an application and its emulator, so that none is left behind.

Run by path, never imported: ``python -I local_keeper.py OWNER_PID COMMAND [ARGUMENT ...]``. It starts the command,
prints the command's process id on its standard output, and ends it when told to (SIGTERM) or when its owner is gone,
`kill -9` included.

Why a process, when Linux can signal a child at its parent's death: the kernel means the parent's *thread*, and an
emulator that was started from a pool's thread would end with it. A pipe's end of file would not do either: children
forked by the owner hold the pipe open after its death. This process has one thread, so for its own child the kernel's
signal is right, and the owner's death shows as another parent.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import time
from functools import partial

POLL_SECONDS = 0.2
GRACE_SECONDS = 3.0
#: From `man 2 prctl <https://man7.org/linux/man-pages/man2/prctl.2.html>`_.
PR_SET_PDEATHSIG = 1


def keep(owner: int, command: list[str]) -> int:
    """Run *command* while process *owner* lives; return the exit status it ended with by itself, else 0."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(0))
    # Emulators leave pid files and the like in the temporary directory: theirs goes when they go.
    with tempfile.TemporaryDirectory(prefix="kombu-sns-sqs-local-") as folder:
        child = _start(command, folder)
        try:
            print(child.pid, flush=True)  # noqa: T201 - the owner reads it
            while os.getppid() == owner and child.poll() is None:
                time.sleep(POLL_SECONDS)
            return child.poll() or 0
        finally:
            _end(child)


def _start(command: list[str], folder: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - the command is the caller's whole purpose
        command,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        cwd="/",  # what lies in the user's directory must not be imported in place of a library
        env={**os.environ, "TMPDIR": folder},
        preexec_fn=partial(_die_with, os.getpid()) if sys.platform == "linux" else None,  # noqa: PLW1509 - one thread
    )


def _die_with(keeper: int) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != keeper:  # it died before the kernel was asked
        os._exit(1)


def _end(child: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(ProcessLookupError):
        child.terminate()
    try:
        child.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


if __name__ == "__main__":
    sys.exit(keep(int(sys.argv[1]), sys.argv[2:]))
