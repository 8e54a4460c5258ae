"""`sns-sqs://local`: nothing to install beside the package, nothing to start, nothing left."""

from __future__ import annotations

import os
import subprocess
import sys
from urllib.parse import urlsplit

from kombu_sns_sqs.local import ENDPOINT_VARIABLE
from tests.brokers.process import listens

PROGRAM = f"""
import os
from multiprocessing import get_context

from kombu import Connection

import kombu_sns_sqs

def child():
    with Connection("sns-sqs://local") as connection:
        connection.SimpleQueue("q").put("from the child")

if __name__ == "__main__":
    with Connection("sns-sqs://local") as connection:
        queue = connection.SimpleQueue("q")
        process = get_context("spawn").Process(target=child)
        process.start()
        process.join()
        message = queue.get(timeout=20)
        message.ack()
        print(connection.as_uri(), os.environ[{ENDPOINT_VARIABLE!r}], message.payload, sep="|")
"""


def test_a_process_tree_shares_a_service_that_ends_with_it(tmp_path: object) -> None:
    """Started by the first that uses it, found by its child, gone with it; the URL stays what it was."""
    program = f"{tmp_path}/program.py"
    with open(program, "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(PROGRAM)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment.pop(ENDPOINT_VARIABLE, None)
    done = subprocess.run(
        [sys.executable, program], env=environment, capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 0, done.stderr
    uri, endpoint, payload = done.stdout.strip().split("|")
    assert (uri, payload) == ("sns-sqs://local", "from the child")
    assert not listens(urlsplit(endpoint).port or 0)
    assert "not for production" in done.stderr
