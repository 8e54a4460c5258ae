"""Producers in a web server: many requests at once, in threads or in greenlets of one process, and in its children."""

from __future__ import annotations

import subprocess
import sys
import warnings
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

from tests.faults.weather import Hangs

if TYPE_CHECKING:
    from tests.faults.relay import Relay

PATCH = {
    "threads": "",
    "gevent": "from gevent import monkey; monkey.patch_all()",
    "eventlet": "import warnings; warnings.simplefilter('ignore'); import eventlet; eventlet.monkey_patch()",
}
#: What a server with an app of Flask's or Django's does: patch first, import the app, fork, serve requests together.
SERVER = """
import os, sys, threading
from celery import Celery

app = Celery(broker=sys.argv[1])
app.conf.broker_pool_limit = 20
app.conf.broker_transport_options = {"region": "us-east-1", "read_timeout": 20}
app.send_task("before", ignore_result=True)
child = os.fork()
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
requests = [threading.Thread(target=app.send_task, args=("noop",), kwargs={"ignore_result": True}) for _ in range(20)]
for request in requests:
    request.start()
for request in requests:
    request.join(25)
print("served", flush=True)
"""


@pytest.mark.parametrize("kind", list(PATCH))
def test_requests_of_a_server_publish_at_the_same_time(relay: Relay, prefix: str, kind: str) -> None:
    """Twenty wait for AWS together, none behind another, in a child forked off a process that has published before."""
    if kind != "threads":
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # eventlet says that it is deprecated
                import_module(kind)
        except Exception as exc:  # noqa: BLE001 -- eventlet fails with an AttributeError on a Python it does not know
            pytest.skip(f"{kind} does not import here: {exc!r}")
    url = f"sns-sqs://test:test@{relay.url.removeprefix('http://')}/{prefix}"
    server = subprocess.Popen(
        [sys.executable, "-c", f"{PATCH[kind]}\n{SERVER}", url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert relay.wait_for("SendMessage", 1, within=20)
        relay.fault("SendMessage", Hangs())
        assert relay.wait_for("SendMessage", 21, within=15), relay.calls
        relay.clear()
        output, errors = server.communicate(timeout=30)
    finally:
        server.kill()
    assert (output, server.returncode) == ("served\n", 0), errors
