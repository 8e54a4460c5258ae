"""botocore's exceptions as values."""

from __future__ import annotations

from typing import Final

from botocore import exceptions as botocore
from botocore.parsers import ResponseParserError

from kombu_sns_sqs.aws.reply import bare_code, excerpt
from kombu_sns_sqs.errors import CredentialsRefused, Failure, Kind, OptionsError, kind_of

__all__ = ("NO_CREDENTIALS", "NO_REGION", "failure_of", "signing_failure")

#: What to do when nothing signs, and when nothing says where.
NO_CREDENTIALS: Final = (
    "no AWS credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile (AWS_PROFILE or the "
    "option profile), or give the machine, container or pod a role"
)
NO_REGION: Final = (
    "no AWS region is known: set the option region, AWS_DEFAULT_REGION or AWS_REGION, or a region in the profile"
)

#: First match wins, so the special stands before the general.
#: https://docs.aws.amazon.com/boto3/latest/guide/error-handling.html
_KINDS: Final[tuple[tuple[tuple[type[BaseException], ...], Kind], ...]] = (
    # Credentials that were good and could not be renewed: they may be at the next attempt.
    ((botocore.CredentialRetrievalError, botocore.MetadataRetrievalError), Kind.EXPIRED),
    (
        (
            botocore.NoCredentialsError,
            botocore.PartialCredentialsError,
            botocore.NoAuthTokenError,
            botocore.TokenRetrievalError,
            botocore.SSOError,
            botocore.NoRegionError,
            botocore.ProfileNotFound,
            CredentialsRefused,
            OptionsError,
        ),
        Kind.CREDENTIALS,
    ),
    ((botocore.ConnectionError, botocore.HTTPClientError, botocore.IncompleteReadError, OSError), Kind.UNREACHABLE),
    ((botocore.BotoCoreError,), Kind.REFUSED),
)

_WORDS: Final[dict[type[BaseException], str]] = {
    botocore.NoCredentialsError: NO_CREDENTIALS,
    botocore.NoRegionError: NO_REGION,
}


def failure_of(exc: BaseException, action: str = "") -> Failure:
    """Translate what botocore raised.

    Raises:
        BaseException: ``exc`` itself, where it is none of the network's, AWS's or botocore's: a fault in the program
            is not a failure of a request.
    """
    if isinstance(exc, botocore.ClientError):
        return _refusal(exc, action)
    # Raised by RefreshableCredentials when a renewal yields what has already ended; it has no class of its own.
    if isinstance(exc, RuntimeError) and "refreshed" in str(exc):
        return Failure(kind=Kind.EXPIRED, code="CredentialsExpired", message=str(exc), action=action)
    if isinstance(exc, (ResponseParserError, UnicodeDecodeError)):
        # The text is the whole answer, of a server that is not AWS's.
        return Failure(kind=Kind.UNREACHABLE, code="MalformedAnswer", message=excerpt(str(exc)), action=action)
    for classes, kind in _KINDS:
        if isinstance(exc, classes):
            message = _WORDS.get(type(exc)) or str(exc)
            return Failure(kind=kind, code=type(exc).__name__, message=message, action=action)
    raise exc


def signing_failure(exc: Exception, action: str) -> Failure:
    """Translate what kept a request from being signed, whatever it is: nobody else answers who waits for it.

    What botocore does not expect, such as an answer of STS that a proxy has made up, may be over at the next attempt.
    Its text stays untold: such an answer may hold keys.
    """
    try:
        return failure_of(exc, action)
    except Exception as unexpected:  # noqa: BLE001
        name = type(unexpected).__name__
        return Failure(kind=Kind.UNREACHABLE, code=name, message="the request could not be signed", action=action)


def _refusal(exc: botocore.ClientError, action: str) -> Failure:
    error = exc.response.get("Error", {})
    status = exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code, message = str(error.get("Code", "Unknown")), str(error.get("Message", ""))
    if code.isdigit():
        # botocore's way to say that the answer is in no protocol of AWS's; the message is the page, then.
        code, message = f"HTTP{code}", excerpt(message)
    return Failure(
        kind=kind_of(code, status),
        code=bare_code(code),
        message=message,
        status=status,
        action=action or exc.operation_name,
    )
