"""Threads that run whatever greenlets do."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from kombu_sns_sqs.native_threads import start_native_thread

#: Its main greenlet switches to no other while it sleeps by the real clock; then the two share a lock.
GEVENT = """
from gevent import monkey
monkey.patch_all()
import threading, time
from kombu_sns_sqs.native_threads import native_lock, start_native_thread

started, shared, counts = [], native_lock(), [0, 0]

def count(who):
    for _ in range(5000):
        with shared:
            counts[who] += 1

def run():
    time.sleep(0.01)
    started.append(True)
    count(0)

thread = start_native_thread(run, name="counter")
for _ in range(200):
    if started:
        break
    monkey.get_original("time", "sleep")(0.01)
print("native" if started else "a greenlet")
count(1)
thread.join(30)
print(counts)
"""


def test_it_is_a_thread_that_can_be_waited_for() -> None:
    """Under the name it was given, and no hindrance to the end of the process."""
    ran: list[threading.Thread] = []
    start_native_thread(lambda: ran.append(threading.current_thread()), name="worker").join(10)
    assert [(thread.name, thread.daemon) for thread in ran] == [("worker", True)]


def test_with_gevent_it_runs_while_no_greenlet_switches_and_shares_locks_with_them() -> None:
    """As gevent's own thread pools do."""
    pytest.importorskip("gevent")
    done = subprocess.run([sys.executable, "-c", GEVENT], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.splitlines() == ["native", "[5000, 5000]"], done.stderr
