"""A client that answers as it is told, and messages to settle with it."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

from vine import promise

from kombu_sns_sqs.aws.operation import BatchResult, Operation
from kombu_sns_sqs.aws.reply import Reply
from kombu_sns_sqs.identity import Identity
from kombu_sns_sqs.messages import Content, Delivery

if TYPE_CHECKING:
    from collections.abc import Callable

    from kombu_sns_sqs.errors import Failure

PATIENCE = 10.0


class Script:
    """A client that notes what it is asked and answers at once, unless told to keep an answer back."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, list[dict[str, Any]]]] = []
        #: Failures of the next entries of an action, by receipt handle; None: of all its entries.
        self.failures: dict[tuple[str, str | None], list[Failure]] = {}
        self.kept_back: set[str] = set()
        self._pending: list[tuple[promise, Operation]] = []
        self._changed = threading.Condition()
        self._woken = False
        #: How often it was.
        self.woken = 0
        #: Whether it sleeps until it is woken, for however short a time it was told to.
        self.sleeps_on = False
        self.asleep = False
        #: What it was told the last time.
        self.pause: float | None = None

    def entries(self, action: str) -> list[dict[str, Any]]:
        """All entries an action was asked for, in order."""
        with self._changed:
            return [entry for name, entries in self.asked for entry in entries if name == action]

    def handles(self, action: str) -> list[str]:
        """Their receipt handles."""
        return [entry["ReceiptHandle"] for entry in self.entries(action)]

    def calls(self, action: str) -> int:
        """How many requests an action was asked for in."""
        with self._changed:
            return sum(name == action for name, _ in self.asked)

    def answer_kept_back(self) -> None:
        """Answer everything from now on, and what was kept back."""
        with self._changed:
            self.kept_back.clear()
        self.wake()

    # -- what an event client does -----------------------------------------------------------------------------

    def call(self, operation: Operation) -> promise:
        """Note it; the answer comes with the next turn."""
        answered = promise()
        with self._changed:
            self.asked.append((operation.action, json.loads(operation.body)["Entries"]))
            self._pending.append((answered, operation))
            self._changed.notify_all()
        return answered

    def run_once(self, timeout: float | None) -> None:
        """Answer what is not kept back, or wait."""
        with self._changed:
            self.pause = timeout
            if not self._ready() and not self._woken:
                self.asleep = True
                limit = 2 * PATIENCE if self.sleeps_on else timeout
                self._changed.wait_for(lambda: self._ready() or self._woken, limit)
            self._woken = self.asleep = False
            ready = self._ready()
            self._pending = [pair for pair in self._pending if pair not in ready]
        for answered, operation in ready:
            answered(self._reply(operation))

    def wake(self) -> None:
        """End a turn."""
        with self._changed:
            self._woken, self.asleep = True, False
            self.woken += 1
            self._changed.notify_all()

    def close(self) -> None:
        """Nothing to close."""

    def _ready(self) -> list[tuple[promise, Operation]]:
        return [pair for pair in self._pending if pair[1].action not in self.kept_back]

    def _reply(self, operation: Operation) -> Reply:
        whole = self.failures.get((operation.action, None))
        if whole:
            return Reply(failure=whole.pop(0))
        failed, succeeded = {}, {}
        for entry in json.loads(operation.body)["Entries"]:
            failures = self.failures.get((operation.action, entry["ReceiptHandle"]))
            if failures:
                failed[entry["Id"]] = failures.pop(0)
            else:
                succeeded[entry["Id"]] = ""
        return Reply(value=BatchResult(succeeded=succeeded, failed=failed))


def delivery(number: int, *, handle: str = "", publish_id: str = "", queue: str = "q") -> Delivery:
    """A delivery; ``number`` is the message's id."""
    content = Content(
        body="",
        content_type=None,
        content_encoding=None,
        headers={},
        properties={},
        publish_id=publish_id or f"p{number}",
    )
    return Delivery(
        queue=queue,
        queue_url=f"https://sqs/{queue}",
        identity=Identity(),
        receipt_handle=handle or f"h{number}",
        message_id=f"m{number}",
        receive_count=1,
        sent_at=0.0,
        content=content,
    )


def until(done: Callable[[], object]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)
