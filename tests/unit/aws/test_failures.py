"""botocore's exceptions become values; a fault in the program does not."""

from __future__ import annotations

import pytest
from botocore import exceptions as botocore
from botocore.parsers import ResponseParserError

from kombu_sns_sqs.aws.failures import failure_of
from kombu_sns_sqs.errors import CredentialsRefused, Kind, OptionsError

URL = "https://sqs.eu-central-1.amazonaws.com/"


def refusal(code: str, status: int, message: str = "words") -> botocore.ClientError:
    """An error as boto3 raises it."""
    response = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return botocore.ClientError(response, "CreateQueue")


@pytest.mark.parametrize(
    ("exc", "kind", "code"),
    [
        (refusal("AWS.SimpleQueueService.QueueDeletedRecently", 400), Kind.NAME_RESTS, "QueueDeletedRecently"),
        (refusal("AccessDenied", 403), Kind.DENIED, "AccessDenied"),
        (refusal("Novel", 503), Kind.UNREACHABLE, "Novel"),
        (botocore.EndpointConnectionError(endpoint_url=URL), Kind.UNREACHABLE, "EndpointConnectionError"),
        (botocore.ConnectTimeoutError(endpoint_url=URL), Kind.UNREACHABLE, "ConnectTimeoutError"),
        (botocore.ReadTimeoutError(endpoint_url=URL), Kind.UNREACHABLE, "ReadTimeoutError"),
        (botocore.ConnectionClosedError(endpoint_url=URL), Kind.UNREACHABLE, "ConnectionClosedError"),
        (botocore.ProxyConnectionError(proxy_url="http://p"), Kind.UNREACHABLE, "ProxyConnectionError"),
        (botocore.SSLError(endpoint_url=URL, error="bad"), Kind.UNREACHABLE, "SSLError"),
        (ConnectionResetError("cut"), Kind.UNREACHABLE, "ConnectionResetError"),
        (botocore.NoCredentialsError(), Kind.CREDENTIALS, "NoCredentialsError"),
        (botocore.PartialCredentialsError(provider="env", cred_var="x"), Kind.CREDENTIALS, "PartialCredentialsError"),
        (botocore.NoRegionError(), Kind.CREDENTIALS, "NoRegionError"),
        (botocore.UnauthorizedSSOTokenError(), Kind.CREDENTIALS, "UnauthorizedSSOTokenError"),
        (CredentialsRefused("none"), Kind.CREDENTIALS, "CredentialsRefused"),
        (OptionsError("no region"), Kind.CREDENTIALS, "OptionsError"),
        (botocore.CredentialRetrievalError(provider="p", error_msg="e"), Kind.EXPIRED, "CredentialRetrievalError"),
        (
            RuntimeError("Credentials were refreshed, but the refreshed credentials are still expired."),
            Kind.EXPIRED,
            "CredentialsExpired",
        ),
        (botocore.ParamValidationError(report="r"), Kind.REFUSED, "ParamValidationError"),
    ],
)
def test_an_exception_of_botocore_is_classified(exc: Exception, kind: Kind, code: str) -> None:
    """By what the one who meets it can do."""
    failure = failure_of(exc, "CreateQueue")
    assert (failure.kind, failure.code, failure.action) == (kind, code, "CreateQueue")
    assert failure.message


def test_what_is_missing_is_said_with_what_to_do() -> None:
    """The words of botocore only say that it is missing."""
    assert "AWS_ACCESS_KEY_ID" in failure_of(botocore.NoCredentialsError()).message
    assert "AWS_DEFAULT_REGION" in failure_of(botocore.NoRegionError()).message


PAGE = "<!DOCTYPE html>\n<html><style>p {}</style><body><h1>It  works</h1>" + "<p>and on it goes</p>" * 200


@pytest.mark.parametrize(
    ("exc", "kind", "code"),
    [
        (refusal("404", 404, PAGE), Kind.REFUSED, "HTTP404"),
        (refusal("502", 502, PAGE), Kind.UNREACHABLE, "HTTP502"),
        (ResponseParserError(f"invalid XML received: {PAGE}"), Kind.UNREACHABLE, "MalformedAnswer"),
        (UnicodeDecodeError("utf-8", PAGE.encode(), 0, 1, "invalid start byte"), Kind.UNREACHABLE, "MalformedAnswer"),
    ],
)
def test_a_page_of_a_server_that_is_not_aws_is_cut_to_a_line(exc: Exception, kind: Kind, code: str) -> None:
    """Enough to see whose it is."""
    failure = failure_of(exc)
    assert (failure.kind, failure.code) == (kind, code)
    assert "<" not in failure.message
    assert "\n" not in failure.message
    assert len(failure.message) <= 210


def test_words_of_aws_are_told_in_full() -> None:
    """They name the action and the resource that a policy lacks."""
    words = "User: arn:aws:iam::123456789012:user/worker is not authorized to perform: sqs:createqueue " + "on x " * 80
    assert failure_of(refusal("AccessDenied", 403, words)).message == words


@pytest.mark.parametrize("exc", [KeyError("bug"), RuntimeError("bug"), KeyboardInterrupt()])
def test_a_fault_in_the_program_is_raised_again(exc: BaseException) -> None:
    """It is not the failure of a request."""
    with pytest.raises(type(exc)):
        failure_of(exc)
