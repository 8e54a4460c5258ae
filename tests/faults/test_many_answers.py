"""A call of remote control to a thousand workers, whose answers come all at once."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from kombu import Connection, Queue
from kombu.pidbox import Mailbox

from tests.faults.conftest import drain_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from kombu_sns_sqs.local import LocalService
    from tests.faults.relay import Relay

WORKERS = 1000


def test_a_thousand_workers_answer_within_the_default_second(
    connect: Callable[..., Connection], relay: Relay, service: LocalService
) -> None:
    """Ten answers to a receive while there are many, and one reply queue for all."""
    mailbox = Mailbox("fleet", type="fanout")
    connection, calls = connect(straight=service.endpoint_url), []
    everybody = Queue("fleet", mailbox.exchange, exclusive=True, auto_delete=True)

    def answer(command: Any, message: Any) -> None:
        message.ack()
        calls.append(command)
        headers = {"ticket": command["ticket"], "clock": 1}
        with connection.Producer(auto_declare=False) as producer, producer.batch():
            for number in range(WORKERS):
                producer.publish({f"w{number}": "pong"}, **command["reply_to"], headers=headers, delivery_mode=1)

    with connection.Consumer([everybody], callbacks=[answer]):
        workers = threading.Thread(target=drain_until, args=(connection, lambda: calls))
        workers.start()
        caller = mailbox(connect())
        before = relay.calls.copy()
        replies = caller.multi_call("ping")
        workers.join()
    assert len({name for reply in replies for name in reply}) == WORKERS
    spent = relay.calls - before
    assert spent["CreateQueue"] == 1
    assert spent["ReceiveMessage"] <= WORKERS // 5
    assert spent["DeleteMessageBatch"] <= WORKERS // 5
