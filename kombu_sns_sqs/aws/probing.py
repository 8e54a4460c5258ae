"""The first question to an endpoint: whether SQS answers there, and knows the credentials."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from kombu_sns_sqs.errors import Failure, Kind

if TYPE_CHECKING:
    from kombu_sns_sqs.aws.control import ControlPlane
    from kombu_sns_sqs.identity import Identity

__all__ = ("probe",)

#: A queue nobody has: asking for it tells whether the endpoint answers and knows the credentials.
_QUEUE: Final = "kombu-sns-sqs-probe"
_WHERE_TO_LOOK: Final = (
    "check host and port of the broker URL, or endpoint_url and AWS_ENDPOINT_URL; the region; and that this network"
    " reaches SQS there (proxy, firewall, VPC endpoint)"
)


def probe(control: ControlPlane, identity: Identity) -> Failure | None:
    """Ask for a queue nobody has; say what is wrong with the endpoint or the credentials, None where nothing is.

    Whatever AWS says of that queue, it has said it to somebody it knows.
    """
    reply = control.call(identity, "sqs", "get_queue_url", QueueName=_QUEUE)
    failure = reply.failure
    if failure is None:
        if "QueueUrl" in reply.value:
            return None
        failure = Failure(kind=Kind.UNREACHABLE, code="MalformedAnswer", message="what answers there is not SQS")
    in_no_protocol = failure.status == 0 or failure.code.startswith("HTTP")
    if in_no_protocol and failure.kind is Kind.REFUSED:
        # A web server that refuses: whatever it is, SQS it is not.
        failure = replace(failure, kind=Kind.UNREACHABLE)
    if in_no_protocol and failure.kind is Kind.UNREACHABLE:
        return replace(failure, message=" - ".join(filter(None, (failure.message, _WHERE_TO_LOOK))))
    return failure if failure.kind.passing or failure.kind is Kind.CREDENTIALS else None
