"""Runs one program for a test session and takes it down with everything it started.

Usage: ``python guard.py WORKDIR PROGRAM [ARGUMENT ...]``. The guard holds the reading end of a pipe whose other end
only the test session has. However that session ends (normally, Ctrl-C, ``kill -9``, a timeout that calls ``_exit``),
the pipe closes, the program's whole process group is killed, and WORKDIR is removed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading


def main(workdir: str, *command: str) -> int:
    """Run `command` until it ends or the session does; return its exit code as a shell would (128 and the signal)."""
    # Only the session's pipe decides: a Ctrl-C meant for the session is answered by the session.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        program = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
        threading.Thread(target=_kill_at_end_of_session, args=(program.pid,), daemon=True).start()
        code = program.wait()
        _kill_group(program.pid)
        return code if code >= 0 else 128 - code
    finally:
        shutil.rmtree(workdir, ignore_errors=True)


def _kill_at_end_of_session(group: int) -> None:
    sys.stdin.buffer.read()
    _kill_group(group)


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
