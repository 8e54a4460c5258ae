"""Queues that cannot be used in their first moments, as AWS reserves the right to have them."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from kombu import Connection, Exchange, Queue
from kombu.pidbox import Mailbox

from tests.conformance import actors
from tests.conformance.waiting import eventually
from tests.faults.conftest import drain_until
from tests.faults.relay import Answer, Relay, Request
from tests.faults.weather import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kombu_sns_sqs.local import LocalService

#: Seconds for which a queue is new.
NEW = 1.0


class Reluctant(Relay):
    """A service that knows nothing of a queue until it has been there for some time."""

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream)
        self._made: dict[bytes, float] = {}

    def forward(self, request: Request) -> Answer:
        """Ask the endpoint behind, or do as if there were no such queue."""
        if request.service == "sqs" and self._is_of_a_new_one(request):
            return Refused("QueueDoesNotExist").apply(request, self) or Answer(500, b"")
        answer = super().forward(request)
        if request.action == "CreateQueue":
            self._made.setdefault(answer.body.rpartition(b"/")[2].partition(b'"')[0], time.monotonic())
        return answer

    def _is_of_a_new_one(self, request: Request) -> bool:
        made = [since for name, since in self._made.items() if name in request.body]
        return request.action != "CreateQueue" and time.monotonic() < max(made, default=0.0) + NEW


@pytest.fixture
def url(service: LocalService) -> Iterator[str]:
    """A broker of that kind."""
    with Reluctant(service.endpoint_url) as relay:
        yield f"sns-sqs://test:test@{relay.url.removeprefix('http://')}/n{uuid4().hex[:8]}-"


def connect(url: str, settling: float) -> Connection:
    """Connect with the options of a test."""
    return Connection(
        url, transport_options={"region": "us-east-1", "wait_time_seconds": 1, "queue_settling": settling}
    )


@pytest.mark.parametrize(("settling", "answered"), [(NEW * 1.2, True), (0, False)], ids=["waits", "does not"])
def test_the_first_call_of_a_process_is_answered(url: str, settling: float, answered: bool) -> None:
    """A reply to a queue that was made a moment ago finds it; and would not, if the caller did not wait."""
    with connect(url, settling) as serving, connect(url, settling) as asking:
        requests = Queue("requests")(serving)
        requests.declare()
        time.sleep(NEW)
        server = threading.Thread(target=actors.answer_one_request, args=(serving, requests.name))
        server.start()
        answers: list[object] = []
        replies = Queue(f"replies.{uuid4()}", exclusive=True, auto_delete=True)
        with asking.Consumer([replies], on_message=answers.append, no_ack=True):
            asking.Producer().publish(21, routing_key="requests", reply_to=replies.name, correlation_id="c")
            server.join(30)
            if answered:
                drain_until(asking, lambda: answers)
            else:
                with pytest.raises(TimeoutError):
                    asking.drain_events(timeout=NEW * 2)


def test_a_lasting_queue_is_made_bound_and_used_at_once(url: str) -> None:
    """By one process, for the first time ever."""
    with connect(url, NEW * 1.2) as connection:
        queue = Queue("lasting", Exchange("news", type="topic"), routing_key="a.#")(connection)
        queue.declare()
        connection.Producer().publish("hello", exchange="news", routing_key="a.b")
        connection.Producer().publish("there", routing_key="lasting")
        assert {eventually(queue.get).payload for _ in range(2)} == {"hello", "there"}


def test_a_mailbox_that_listens_hears_the_first_command(url: str) -> None:
    """And its answer comes to a caller that has never called before."""
    mailbox = Mailbox("control", type="fanout")
    with connect(url, NEW * 1.2) as serving, connect(url, NEW * 1.2) as asking:
        node = mailbox(serving).Node("one", handlers={"double": lambda _, n: n * 2}, channel=serving.channel())
        node.listen(channel=node.channel)
        answers: list[object] = []
        caller = threading.Thread(
            target=lambda: answers.extend(mailbox(asking).call(["one"], "double", {"n": 21}, timeout=10))
        )
        caller.start()
        drain_until(serving, lambda: not caller.is_alive())
        assert answers == [{"one": 42}]
