"""Plain kombu processes with what Celery's workers and their callers have: ``python light_process.py COUNT KIND``.

``worker``: a mailbox for remote control and queues for events and Broadcast, all being received from; and one for
replies and one for results.
``caller``: a queue for replies, from which nobody receives for now.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from uuid import uuid4

from kombu import Connection, Consumer, Exchange, Queue
from kombu.common import Broadcast
from kombu.pidbox import Mailbox


def live(kind: str) -> None:
    """Make the queues, say so, and use them until killed."""
    with Connection(os.environ["BROKER_URL"]) as connection:
        mailbox = Mailbox("celery", type="fanout")(connection)
        with connection.channel() as channel:
            mailbox.reply_queue(channel).declare()
            if kind == "worker":
                node = mailbox.Node(f"{os.getpid()}@light", channel=channel)
                node.listen()
                events = Queue("", Exchange("celeryev", type="topic"), "worker.#", exclusive=True, durable=False)
                received = [events(channel), Broadcast("everyone")(channel)]
                Consumer(channel, received, on_message=print, no_ack=True).consume()
                Queue(str(uuid4()), durable=False, auto_delete=True)(channel).declare()
            sys.stdout.write(f"ready {os.getpid()}\n")
            sys.stdout.flush()
            while kind == "caller":
                time.sleep(60)
            while True:
                with suppress(TimeoutError):
                    connection.drain_events(timeout=60)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    for _ in range(int(sys.argv[1])):
        if not os.fork():
            live(sys.argv[2])
    signal.pause()
