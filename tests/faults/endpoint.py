"""An endpoint that answers as AWS does when all is well, for tests of what carries requests to it."""

from __future__ import annotations

import json
import threading
from collections import deque
from email.utils import formatdate
from urllib.parse import parse_qs

from tests.faults.relay import Answer, Relay, Request

#: The time on this endpoint's clock, in every answer's Date.
ITS_TIME = 1_800_000_000.0
#: The account whose keys it takes all keys for.
ITS_ACCOUNT = "123456789012"


class Endpoint(Relay):
    """A relay with nothing behind: it takes all sends, and its queue holds what :meth:`enqueue` put there.

    A ReceiveMessage waits for as long as its WaitTimeSeconds, and returns early when something is enqueued.
    """

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:9")
        #: The requests that were answered, in the order of their answers.
        self.requests: list[Request] = []
        self._messages: deque[str] = deque()
        self._arrived = threading.Condition()

    def enqueue(self, *bodies: str) -> None:
        """Put messages on the queue that every queue URL here means."""
        with self._arrived:
            self._messages.extend(bodies)
            self._arrived.notify_all()

    def forward(self, request: Request) -> Answer:
        """Answer as AWS would."""
        body = self._sqs(request) if request.service == "sqs" else self._sns(request)
        with self._changed:
            self.requests.append(request)
            self.answered[request.action] += 1
            self._changed.notify_all()
        return Answer(200, body, {"Date": formatdate(ITS_TIME, usegmt=True)})

    def _sqs(self, request: Request) -> bytes:
        asked = json.loads(request.body)
        if request.action == "ReceiveMessage":
            return json.dumps(self._receive(asked)).encode()
        if "Entries" in asked:
            ids = [row["Id"] for row in asked["Entries"]]
            return json.dumps({"Successful": [{"Id": entry, "MessageId": f"m-{entry}"} for entry in ids]}).encode()
        return json.dumps({"MessageId": "m"}).encode() if request.action == "SendMessage" else b"{}"

    def _receive(self, asked: dict[str, int]) -> dict[str, object]:
        with self._arrived:
            self._arrived.wait_for(lambda: bool(self._messages), asked["WaitTimeSeconds"])
            count = min(len(self._messages), asked["MaxNumberOfMessages"])
            bodies = [self._messages.popleft() for _ in range(count)]
        return {"Messages": [{"MessageId": body, "ReceiptHandle": body, "Body": body} for body in bodies]}

    def _sns(self, request: Request) -> bytes:
        form = parse_qs(request.body.decode())
        if request.action == "GetCallerIdentity":
            result = f"<GetCallerIdentityResult><Account>{ITS_ACCOUNT}</Account></GetCallerIdentityResult>"
            return f"<GetCallerIdentityResponse>{result}</GetCallerIdentityResponse>".encode()
        if request.action == "Publish":
            return b"<PublishResponse><PublishResult><MessageId>m</MessageId></PublishResult></PublishResponse>"
        ids = [values[0] for name, values in form.items() if name.endswith(".Id")]
        rows = "".join(f"<member><Id>{entry}</Id><MessageId>m-{entry}</MessageId></member>" for entry in ids)
        result = f"<PublishBatchResult><Failed/><Successful>{rows}</Successful></PublishBatchResult>"
        return f"<PublishBatchResponse>{result}</PublishBatchResponse>".encode()
