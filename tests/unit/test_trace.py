"""X-Ray's trace header, as it is published, and as it is sent on."""

from __future__ import annotations

from typing import Any

import pytest

from kombu_sns_sqs.delay import Step
from kombu_sns_sqs.identity import Identity
from kombu_sns_sqs.receiving.hops import Hop
from kombu_sns_sqs.topology.entities import Queue
from kombu_sns_sqs.wire import dead_letter, trace
from kombu_sns_sqs.wire.copying import copy
from tests.unit.test_deaths import death

ROOT = "Root=1-5759e988-bd862e3fe1be46a994272793"
QUEUE = Queue(name="q", urls=("sqs/q",), arn="arn:q", identity=Identity())


@pytest.mark.parametrize(
    "header",
    [
        ROOT,
        f"{ROOT};Parent=53995c3f42cd8ad8;Sampled=1",
        f"{ROOT}; Parent=53995c3f42cd8ad8; Sampled=?".replace("?", "0"),
        f"Self=1-67891234-12456789abcdef012345678;{ROOT}",
        f"{ROOT};Parent=53995c3f42cd8ad8;Sampled=1;Lineage=a87bd80c:1|68fd508a:5|c512fbe3:2",
    ],
)
def test_a_trace_header_is_taken_from_the_headers_or_the_properties(header: str) -> None:
    """In the forms that X-Ray, load balancers and Lambda write."""
    assert trace.trace_of({"AWSTraceHeader": header}, {}) == header
    assert trace.trace_of({}, {"AWSTraceHeader": header}) == header
    assert trace.trace_of({}, {}) is None


@pytest.mark.parametrize(
    "wrong", ["", "1-5759e988", "Sampled=1", f"{ROOT}\r\nX: 1", f"{ROOT};a=é", 7, f"{ROOT};a={'b' * 1024}"]
)
def test_what_is_none_is_not_told_to_aws(wrong: Any) -> None:
    """AWS demands the form, and a message must not be lost for it."""
    assert trace.trace_of({"AWSTraceHeader": wrong}, {}) is None


def test_a_request_to_sns_says_it_for_all_its_messages_or_not_at_all() -> None:
    """One header for ten messages."""
    assert trace.request_headers([ROOT, ROOT]) == (("X-Amzn-Trace-Id", ROOT),)
    assert trace.request_headers([ROOT, None]) == trace.request_headers([None]) == ()


@pytest.mark.parametrize("more", [{"system": {"AWSTraceHeader": ROOT}}, {"headers": {"AWSTraceHeader": ROOT}}])
def test_what_is_sent_on_keeps_it(more: dict[str, Any]) -> None:
    """A hop, a fresh message for an old one, a dead letter; from beside the body, or else from the headers."""
    one = death(**more)
    hop = Hop(one.delivery._replace(text="m"), QUEUE, due_at=0.0, held=True)
    _, entry = hop.entry(Step(delay_seconds=10, companion=False), None)
    assert entry["system_attributes"] == {"AWSTraceHeader": {"DataType": "String", "StringValue": ROOT}}
    assert copy(one.delivery).trace == ROOT
    assert dead_letter.encode(one, exchange="", routing_key="grave", publish_id="p", fifo=False).trace == ROOT
