"""Error answers, in every form AWS and what stands before it give them."""

from __future__ import annotations

import pytest

from kombu_sns_sqs.aws import operations
from kombu_sns_sqs.aws.reply import parse_failure, read_reply
from kombu_sns_sqs.errors import Kind
from kombu_sns_sqs.identity import Identity

WHO = Identity(region="eu-central-1")
SEND = operations.send_message(identity=WHO, queue_url="q", body="x", attributes={})
PUBLISH = operations.publish(identity=WHO, topic_arn="t", body="x", attributes={})
SNS_ERROR = (
    '<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type><Code>{}</Code>'
    "<Message>a &lt;b&gt;</Message></Error><RequestId>r</RequestId></ErrorResponse>"
)


@pytest.mark.parametrize(
    ("status", "headers", "body", "kind", "code"),
    [
        (400, {}, b'{"__type":"com.amazonaws.sqs#QueueDoesNotExist"}', Kind.MISSING, "QueueDoesNotExist"),
        (
            400,
            {"x-amzn-query-error": "AWS.SimpleQueueService.NonExistentQueue;Sender"},
            b'{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"gone"}',
            Kind.MISSING,
            "NonExistentQueue",
        ),
        (403, {}, b'{"__type":"AccessDeniedException","Message":"no"}', Kind.DENIED, "AccessDeniedException"),
        (400, {"x-amzn-query-error": "RequestThrottled;Sender"}, b"{}", Kind.THROTTLED, "RequestThrottled"),
        (403, {}, b'{"__type":"com.amazon.coral.service#ExpiredTokenException"}', Kind.EXPIRED, None),
        (403, {}, b'{"__type":"InvalidClientTokenId"}', Kind.CREDENTIALS, "InvalidClientTokenId"),
        (400, {"x-amzn-errortype": "ReceiptHandleIsInvalid:http://x/"}, b"", Kind.STALE_RECEIPT, None),
        (503, {}, b"<html>no healthy upstream</html>", Kind.UNREACHABLE, "HTTP503"),
        (502, {}, b"", Kind.UNREACHABLE, "HTTP502"),
        (429, {}, b"slow down", Kind.THROTTLED, "HTTP429"),
        (413, {}, b"too large", Kind.REFUSED, "HTTP413"),
        (301, {}, b"", Kind.REFUSED, "HTTP301"),
        (500, {}, b'{"__type":"Novel"}', Kind.UNREACHABLE, "Novel"),
        (400, {}, b"[]", Kind.REFUSED, "HTTP400"),
    ],
)
def test_an_error_of_sqs_is_classified(
    status: int, headers: dict[str, str], body: bytes, kind: Kind, code: str | None
) -> None:
    """By the code of the header, of the body, or the status alone."""
    failure = parse_failure(SEND, status, headers, body)
    assert (failure.kind, failure.status, failure.action) == (kind, status, "SendMessage")
    assert code is None or failure.code == code


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, "NotFound", Kind.MISSING),
        (403, "AuthorizationError", Kind.DENIED),
        (429, "Throttling", Kind.THROTTLED),
        (400, "Throttled", Kind.THROTTLED),
        (403, "InvalidClientTokenId", Kind.CREDENTIALS),
        (403, "ExpiredToken", Kind.EXPIRED),
        (500, "InternalError", Kind.UNREACHABLE),
        (400, "InvalidParameter", Kind.REFUSED),
    ],
)
def test_an_error_of_sns_is_classified(status: int, code: str, kind: Kind) -> None:
    """By the code in the XML."""
    failure = parse_failure(PUBLISH, status, {}, SNS_ERROR.format(code).encode())
    assert (failure.kind, failure.code, failure.status, failure.message) == (kind, code, status, "a <b>")


def test_a_page_of_a_load_balancer_is_named_after_its_status() -> None:
    """And quoted, so that the log tells whose it is."""
    failure = parse_failure(PUBLISH, 503, {}, b"<html>no healthy upstream</html>")
    assert (failure.kind, failure.code) == (Kind.UNREACHABLE, "HTTP503")
    assert "no healthy upstream" in failure.message


@pytest.mark.parametrize(
    ("date", "seconds"),
    [
        ("Fri, 15 Jan 2027 08:00:00 GMT", 1_800_000_000.0),
        ("not a date", None),
        ("", None),
        ("Fri, 99 Jan 99999 08:00:00 GMT", None),
    ],
)
@pytest.mark.parametrize("status", [200, 503])
def test_a_reply_knows_the_time_on_awss_clock(date: str, seconds: float | None, status: int) -> None:
    """An answer without one, or with nonsense for one, is still an answer; who does not ask for it has none."""
    for operation, expected in ((SEND._replace(dated=True), seconds), (SEND, None)):
        assert read_reply(operation, status, {"date": date}, b'{"MessageId":"m"}').date == expected
