"""X-Ray's trace header: a message carries it beside its body, where AWS's services look for it.

On SQS it is a system attribute of the message; SNS, whose Publish has none, takes it as a header of the request and
passes it on to the queues. It also stays among the headers of the message. What other tracers send (``traceparent``,
``tracestate``, ``baggage``) are headers like any other.
https://docs.aws.amazon.com/xray/latest/devguide/xray-services-sqs.html
https://docs.aws.amazon.com/sns/latest/dg/sns-active-tracing.html
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from kombu_sns_sqs.logs import Seldom, fields

if TYPE_CHECKING:
    from kombu_sns_sqs.messages import Delivery

__all__ = ("TRACE_HEADER", "request_headers", "system_attributes", "trace_of", "trace_received")

logger = logging.getLogger(__name__)

#: The name of the system attribute, and of the header or property of a message.
TRACE_HEADER: Final = "AWSTraceHeader"
#: The header of a request that says it for all its messages.
_REQUEST_HEADER: Final = "X-Amzn-Trace-Id"
#: ``Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1``, also with other fields.
#: https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader
_FORM: Final = re.compile(r"(?=.*\bRoot=)[A-Za-z]+=[\w.:|/-]+(?:; ?[A-Za-z]+=[\w.:|/-]+)*;?", re.ASCII)
_LONGEST: Final = 1024

_seldom: Final = Seldom()


def trace_of(headers: Mapping[str, Any], properties: Mapping[str, Any]) -> str | None:
    """Give the trace header of a message that is being published, None where it has none.

    What cannot be one stays an ordinary header and is not told to AWS, which demands the form: a message must not be
    lost for it.
    """
    trace = properties.get(TRACE_HEADER) or headers.get(TRACE_HEADER)
    if not trace:
        return None
    if isinstance(trace, str) and len(trace) <= _LONGEST and _FORM.fullmatch(trace):
        return trace
    if _seldom.count("refused"):
        logger.warning(
            "the %s of a message is not of the form 'Root=1-...;Parent=...;Sampled=1', it is an ordinary header",
            TRACE_HEADER,
            extra=fields("trace_header_malformed"),
        )
    return None


def trace_received(delivery: Delivery) -> str | None:
    """Give the trace header with which a received message is sent on, None where it has none."""
    content = delivery.content
    return delivery.system_attributes.get(TRACE_HEADER) or trace_of(content.headers, content.properties)


def system_attributes(trace: str | None) -> dict[str, dict[str, Any]] | None:
    """Write it as SendMessage and SendMessageBatch take it."""
    return {TRACE_HEADER: {"DataType": "String", "StringValue": trace}} if trace else None


def request_headers(traces: Iterable[str | None]) -> tuple[tuple[str, str], ...]:
    """Write it as Publish and PublishBatch take it: for all their messages, or not at all where they differ."""
    different = set(traces)
    trace = different.pop() if len(different) == 1 else None
    return ((_REQUEST_HEADER, trace),) if trace else ()
