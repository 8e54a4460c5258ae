"""What can go wrong, drawn as a tree, and the one table from AWS's words to it.

::

    Error
    ├── OptionsError                    (ValueError)  the URL or an option is wrong: known before any call
    ├── AddressingError                 (ValueError)  a name that no queue or topic can bear
    ├── MessageError                    (ValueError)  a message AWS would refuse
    │   ├── InvalidProperty         406  (amqp.PreconditionFailed)
    │   ├── MessageTooLarge
    │   └── TooManyAttributes
    ├── ConnectionFailed                (amqp.RecoverableConnectionError)  try again
    │   ├── Unreachable                 no answer from the endpoint
    │   ├── Throttled                   the service said "slower"
    │   └── CredentialsExpired          the token ran out and could not be renewed
    ├── CredentialsRefused              (amqp.IrrecoverableConnectionError)  no, unknown or wrong credentials
    ├── NotSupported                540  (amqp.AMQPNotImplementedError)  something of AMQP that is not there
    └── ChannelFailed                   (amqp.ChannelError)  this request was refused
        ├── NotFound                    404  (amqp.NotFound)
        ├── AccessDenied                403  (amqp.AccessRefused)
        ├── NotEquivalent               406  (amqp.PreconditionFailed)
        └── QueueInUse                  406  (amqp.PreconditionFailed)  if_unused, if_empty

Below the door a failure is a value, :class:`Failure`: the code that met it decides what to do. Only what a caller
must hear is raised, once, through :func:`exception_for`. The classes of the AMQP client are bases wherever one
fits, so that code written for RabbitMQ catches what it always caught.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

import amqp

__all__ = (
    "AccessDenied",
    "AddressingError",
    "ChannelFailed",
    "ConnectionFailed",
    "CredentialsExpired",
    "CredentialsRefused",
    "Error",
    "Failure",
    "InvalidProperty",
    "Kind",
    "MessageError",
    "MessageTooLarge",
    "NotEquivalent",
    "NotFound",
    "NotSupported",
    "OptionsError",
    "QueueInUse",
    "Throttled",
    "TooManyAttributes",
    "Unreachable",
    "exception_for",
    "kind_of",
)


class Error(Exception):
    """Anything this transport raises.

    Args:
        failure: of the request that has failed, where it was one.
    """

    failure: Failure | None = None


class OptionsError(Error, ValueError):
    """The broker URL or ``broker_transport_options`` cannot be used; the message says which part and why."""


class AddressingError(Error, ValueError):
    """A queue or exchange name that cannot be mapped to AWS."""


class MessageError(Error, ValueError):
    """A message that AWS would refuse, found before it is sent."""


class InvalidProperty(amqp.PreconditionFailed, MessageError):
    """A property of the message has a value that AMQP refuses, too (406)."""


class MessageTooLarge(MessageError):
    """Body and attributes are over the limit of the service."""


class TooManyAttributes(MessageError):
    """More message attributes than SNS delivers to a queue: it would discard the message without a word."""


class ConnectionFailed(Error, amqp.RecoverableConnectionError):
    """The service could not be used just now; the same request may succeed later."""


class Unreachable(ConnectionFailed):
    """No usable answer: refused, timed out, cut, a 5xx, or a name that does not resolve."""


class Throttled(ConnectionFailed):
    """The service asked for fewer requests for longer than the retries lasted."""


class CredentialsExpired(ConnectionFailed):
    """The session token has run out, and renewing it did not help."""


class CredentialsRefused(Error, amqp.IrrecoverableConnectionError):
    """No credentials were found, or AWS does not know them."""


class NotSupported(Error, amqp.AMQPNotImplementedError):
    """Something of AMQP that this transport does not have (540)."""


class ChannelFailed(Error, amqp.ChannelError):
    """A request was refused; the connection is not at fault."""


class NotFound(ChannelFailed, amqp.NotFound):
    """The queue or exchange does not exist (404)."""


class AccessDenied(ChannelFailed, amqp.AccessRefused):
    """The credentials are good but lack the permission that the message names (403)."""


class NotEquivalent(ChannelFailed, amqp.PreconditionFailed):
    """The entity exists and differs from what was declared (406)."""


class QueueInUse(ChannelFailed, amqp.PreconditionFailed):
    """A conditional delete found the queue or exchange in use (406)."""


class Kind(Enum):
    """What a failure means for the one who met it."""

    #: Nothing came back, or a 5xx: the outcome of the request is unknown.
    UNREACHABLE = "unreachable"
    #: Slow down and try again: the request was not carried out.
    THROTTLED = "throttled"
    #: Refresh the credentials and try again.
    EXPIRED = "expired"
    #: The credentials are unknown or wrong.
    CREDENTIALS = "credentials"
    #: A permission is missing.
    DENIED = "denied"
    #: The queue, topic or subscription does not exist.
    MISSING = "missing"
    #: The receipt handle is no longer good: the lease was lost.
    STALE_RECEIPT = "stale receipt"
    #: The name of a queue deleted less than a minute ago.
    NAME_RESTS = "name rests"
    #: The message is too large.
    TOO_LARGE = "too large"
    #: Anything else AWS calls the caller's fault.
    REFUSED = "refused"

    @property
    def passing(self) -> bool:
        """Whether the same request may succeed later."""
        return self in _PASSING


_PASSING: Final = frozenset({Kind.UNREACHABLE, Kind.THROTTLED, Kind.EXPIRED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One failed request, or one failed entry of a batch, as a value.

    ``code`` is AWS's error code, or the name of what the network did; ``message`` is the service's own words and
    holds no secret; ``status`` is the HTTP status, 0 where there was no answer.
    """

    kind: Kind
    code: str
    message: str = ""
    status: int = 0
    action: str = ""

    def __str__(self) -> str:
        """Give what a log line needs: action, code, words."""
        words = f": {self.message}" if self.message else ""
        return f"{self.action or 'request'} failed with {self.code}{words}"


#: AWS error code → kind, the prefix ``AWS.SimpleQueueService.`` and all after ``;`` taken off.
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html
#: https://docs.aws.amazon.com/sns/latest/api/CommonErrors.html
_KINDS: Final[dict[str, Kind]] = {
    "AccessDenied": Kind.DENIED,
    "AccessDeniedException": Kind.DENIED,
    "AuthorizationError": Kind.DENIED,
    "AuthorizationErrorException": Kind.DENIED,
    "BatchRequestTooLong": Kind.TOO_LARGE,
    "EndpointDisabled": Kind.REFUSED,
    "ExpiredToken": Kind.EXPIRED,
    "ExpiredTokenException": Kind.EXPIRED,
    "IncompleteSignature": Kind.CREDENTIALS,
    "InternalError": Kind.UNREACHABLE,
    "InternalErrorException": Kind.UNREACHABLE,
    "InternalFailure": Kind.UNREACHABLE,
    "InvalidAccessKeyId": Kind.CREDENTIALS,
    "InvalidClientTokenId": Kind.CREDENTIALS,
    "InvalidSecurity": Kind.CREDENTIALS,
    "InvalidToken": Kind.CREDENTIALS,
    "KMSThrottling": Kind.THROTTLED,
    "KmsThrottled": Kind.THROTTLED,
    "MessageNotInflight": Kind.STALE_RECEIPT,
    "MissingAuthenticationToken": Kind.CREDENTIALS,
    "NonExistentQueue": Kind.MISSING,
    "NotAuthorized": Kind.DENIED,
    "NotFound": Kind.MISSING,
    "NotFoundException": Kind.MISSING,
    "OptInRequired": Kind.DENIED,
    "OverLimit": Kind.THROTTLED,
    "PriorRequestNotComplete": Kind.THROTTLED,
    "ProvisionedThroughputExceededException": Kind.THROTTLED,
    "QueueDeletedRecently": Kind.NAME_RESTS,
    "QueueDoesNotExist": Kind.MISSING,
    "ReceiptHandleIsInvalid": Kind.STALE_RECEIPT,
    "RequestExpired": Kind.EXPIRED,
    "RequestThrottled": Kind.THROTTLED,
    "RequestThrottledException": Kind.THROTTLED,
    "ServiceUnavailable": Kind.UNREACHABLE,
    "ResourceNotFound": Kind.MISSING,
    "ResourceNotFoundException": Kind.MISSING,
    "SignatureDoesNotMatch": Kind.CREDENTIALS,
    "SlowDown": Kind.THROTTLED,
    "Throttled": Kind.THROTTLED,
    "ThrottledException": Kind.THROTTLED,
    "Throttling": Kind.THROTTLED,
    "ThrottlingException": Kind.THROTTLED,
    "TooManyRequestsException": Kind.THROTTLED,
    "UnrecognizedClientException": Kind.CREDENTIALS,
}

_SERVER_FAULT: Final = 500
_TOO_MANY_REQUESTS: Final = 429
_REQUEST_TIMEOUT: Final = 408


def kind_of(code: str, status: int = 0) -> Kind:
    """Classify an AWS error code; an unknown one by its HTTP status.

    ``code`` may be in any of AWS's spellings: bare, with ``AWS.SimpleQueueService.`` before it, with a shape's
    name and ``#`` before it, or with ``;Sender`` behind it.
    """
    bare = code.rpartition("#")[2].partition(";")[0].rpartition(".")[2]
    known = _KINDS.get(bare)
    if known is not None:
        return known
    if status == _TOO_MANY_REQUESTS:
        return Kind.THROTTLED
    if status >= _SERVER_FAULT or status == _REQUEST_TIMEOUT:
        return Kind.UNREACHABLE
    return Kind.REFUSED


_EXCEPTIONS: Final[dict[Kind, type[Error]]] = {
    Kind.UNREACHABLE: Unreachable,
    Kind.THROTTLED: Throttled,
    Kind.EXPIRED: CredentialsExpired,
    Kind.CREDENTIALS: CredentialsRefused,
    Kind.DENIED: AccessDenied,
    Kind.MISSING: NotFound,
    Kind.TOO_LARGE: MessageTooLarge,
    Kind.STALE_RECEIPT: ChannelFailed,
    Kind.NAME_RESTS: ChannelFailed,
    Kind.REFUSED: ChannelFailed,
}

_HINTS: Final[dict[Kind, str]] = {
    Kind.DENIED: "see docs/permissions.md for the policies that producers, workers and deployers need",
}


def exception_for(failure: Failure) -> Error:
    """Translate a failure into the exception the door raises: AWS's words, and where they are not enough, ours."""
    hint = _HINTS.get(failure.kind)
    error = _EXCEPTIONS[failure.kind](f"{failure}; {hint}" if hint else str(failure))
    error.failure = failure
    return error
