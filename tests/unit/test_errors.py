"""The tree of errors, and the table from AWS's words to it."""

from __future__ import annotations

import amqp
import pytest

from kombu_sns_sqs import errors
from kombu_sns_sqs.errors import Failure, Kind, exception_for, kind_of
from kombu_sns_sqs.transport import Transport


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("AWS.SimpleQueueService.NonExistentQueue;Sender", 400, Kind.MISSING),
        ("com.amazonaws.sqs#QueueDoesNotExist", 400, Kind.MISSING),
        ("AWS.SimpleQueueService.QueueDeletedRecently", 400, Kind.NAME_RESTS),
        ("NotFound", 404, Kind.MISSING),
        ("RequestThrottled", 403, Kind.THROTTLED),
        ("ExpiredToken", 403, Kind.EXPIRED),
        ("InvalidClientTokenId", 403, Kind.CREDENTIALS),
        ("AccessDeniedException", 400, Kind.DENIED),
        ("ReceiptHandleIsInvalid", 404, Kind.STALE_RECEIPT),
        ("Unheard", 503, Kind.UNREACHABLE),
        ("Unheard", 429, Kind.THROTTLED),
        ("Unheard", 400, Kind.REFUSED),
    ],
)
def test_every_spelling_of_a_code_means_the_same(code: str, status: int, kind: Kind) -> None:
    """What is unknown is judged by its status."""
    assert kind_of(code, status) is kind


@pytest.mark.parametrize("kind", list(Kind))
def test_every_failure_has_an_exception_that_kombu_knows(kind: Kind) -> None:
    """As an error of the connection or of the channel."""
    error = exception_for(Failure(kind=kind, code="Code", message="words", action="Publish"))
    assert "Publish failed with Code: words" in str(error)
    assert isinstance(error, Transport.connection_errors + Transport.channel_errors + (errors.MessageError,))


def test_passing_failures_are_errors_of_the_connection() -> None:
    """So kombu and Celery try again, and try nothing else again."""
    for kind in Kind:
        error = exception_for(Failure(kind=kind, code="x"))
        assert isinstance(error, Transport.recoverable_connection_errors) is kind.passing
    assert Transport.recoverable_channel_errors == ()


def test_code_written_for_rabbitmq_catches_what_it_always_caught() -> None:
    """Classes and reply codes are those of the AMQP client."""
    assert issubclass(errors.NotFound, amqp.NotFound)
    assert issubclass(errors.NotEquivalent, amqp.PreconditionFailed)
    assert issubclass(errors.AccessDenied, amqp.AccessRefused)
    assert [kind("x").reply_code for kind in (errors.NotFound, errors.AccessDenied, errors.NotEquivalent)] == [
        404,
        403,
        406,
    ]
    assert issubclass(errors.OptionsError, ValueError)
