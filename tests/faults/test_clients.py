"""Every fault against every engine: a value comes back, in bounded time, and never an exception."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import monotonic
from typing import Any

import pytest

from kombu_sns_sqs.aws import operations
from kombu_sns_sqs.aws.blocking import BlockingClient
from kombu_sns_sqs.aws.engines import ENGINE_VARIABLE, event_client
from kombu_sns_sqs.aws.exchange import HAS_CURL, CurlExchange, UrllibExchange
from kombu_sns_sqs.aws.reply import Reply
from kombu_sns_sqs.aws.retrying import Backoff
from kombu_sns_sqs.aws.sessions import Sessions
from kombu_sns_sqs.errors import Kind
from kombu_sns_sqs.identity import Identity
from tests.faults.endpoint import Endpoint
from tests.faults.weather import (
    CutAfter,
    CutBefore,
    DeliveredTwice,
    Fault,
    HalfFails,
    Hangs,
    Refused,
    ServerError,
    Slow,
    Throttled,
)

ATTEMPTS = 3
#: Seconds after which a request that hangs is given up, connecting included.
PATIENCE = 0.5


@dataclass(frozen=True)
class Engine:
    """A client, and how to have an operation's reply from it."""

    perform: Callable[[operations.Operation], Reply]
    #: Requests it makes of an operation that keeps failing.
    attempts: int
    #: libcurl repeats, once and by itself, a request that met a closed connection it had kept.
    by_curl: bool


@pytest.fixture(params=["blocking curl", "blocking urllib3", "events curl", "events threads"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """Each engine, with little patience."""
    style, kind = request.param.split()
    if kind == "curl" and not HAS_CURL:
        pytest.skip("pycurl does not import here")
    sessions = Sessions(connect_timeout=PATIENCE / 2, read_timeout=PATIENCE / 2)
    if style == "blocking":
        exchange = CurlExchange() if kind == "curl" else UrllibExchange()
        blocking = BlockingClient(
            sessions, Backoff(attempts=ATTEMPTS), exchange=exchange, sleep=lambda _: None, chance=lambda: 0.0
        )
        yield Engine(blocking.perform, ATTEMPTS, kind == "curl")
        blocking.close()
        return
    monkeypatch.setenv(ENGINE_VARIABLE, kind)
    client = event_client(sessions)

    def perform(operation: operations.Operation) -> Reply:
        replies: list[Reply] = []
        client.call(operation).then(replies.append)
        end = monotonic() + 30
        while not replies and monotonic() < end:
            client.run_once(1)
        (reply,) = replies
        return reply

    yield Engine(perform, 1, kind == "curl")
    client.close()


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    """An endpoint that can be told to fail, reached without a proxy."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    with Endpoint() as endpoint:
        yield endpoint


@pytest.fixture
def identity(endpoint: Endpoint) -> Identity:
    """Keys for that endpoint."""
    return Identity(
        region="eu-central-1", endpoint_url=endpoint.url, access_key_id="AKIAEXAMPLE", secret_access_key="hush"
    )


def one_of(action: str, identity: Identity) -> operations.Operation:
    """An operation of either service."""
    if action == "Publish":
        return operations.publish(identity=identity, topic_arn="t", body="x", attributes={})
    return operations.send_message(identity=identity, queue_url="q", body="x", attributes={})


@pytest.mark.parametrize("action", ["SendMessage", "Publish"])
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Throttled(), Kind.THROTTLED),
        (ServerError(500), Kind.UNREACHABLE),
        (ServerError(503), Kind.UNREACHABLE),
        (ServerError(200), Kind.UNREACHABLE),
        (Hangs(), Kind.UNREACHABLE),
        (CutBefore(), Kind.UNREACHABLE),
        (CutAfter(), Kind.UNREACHABLE),
        (Refused("AccessDenied", 403), Kind.DENIED),
        (Refused("NotFound", 404), Kind.MISSING),
        (Refused("ExpiredToken", 403), Kind.EXPIRED),
        (Refused("InvalidClientTokenId", 403), Kind.CREDENTIALS),
        (Refused("Novel", 400), Kind.REFUSED),
    ],
    ids=lambda value: getattr(value, "value", None) or f"{type(value).__name__}{vars(value) or ''}",
)
def test_a_fault_that_stays_is_a_failure_of_its_kind(
    engine: Engine, endpoint: Endpoint, identity: Identity, action: str, fault: Fault, kind: Kind
) -> None:
    """After as many requests as the engine makes."""
    endpoint.fault(action, fault)
    reply = engine.perform(one_of(action, identity))
    assert reply.failure is not None
    assert (reply.failure.kind, reply.failure.action) == (kind, action)
    assert endpoint.calls[action] == (engine.attempts if kind.passing else 1)


@pytest.mark.parametrize("fault", [Throttled(), ServerError(), Hangs(), CutBefore(), CutAfter()])
def test_a_fault_that_passes_harms_only_who_does_not_repeat(
    engine: Engine, endpoint: Endpoint, identity: Identity, fault: Fault
) -> None:
    """And the connection after it is as good as new."""
    endpoint.fault("SendMessage", fault, times=1)
    replies = [engine.perform(one_of("SendMessage", identity)) for _ in range(2)]
    assert [reply.ok for reply in replies] == [engine.attempts > 1, True]


def test_a_connection_cut_between_requests_costs_no_failure(
    engine: Engine, endpoint: Endpoint, identity: Identity
) -> None:
    """Where the engine repeats, or libcurl does; and AWS closes idle connections all the time."""
    assert engine.perform(one_of("SendMessage", identity)).ok
    endpoint.fault("SendMessage", CutBefore(), times=1)
    reply = engine.perform(one_of("SendMessage", identity))
    assert reply.ok == (engine.by_curl or engine.attempts > 1)


def test_a_lost_answer_means_the_request_was_carried_out(
    engine: Engine, endpoint: Endpoint, identity: Identity
) -> None:
    """Whoever repeats a send after it sends twice: at least once, as promised."""
    endpoint.fault("SendMessage", CutAfter(), times=1)
    engine.perform(one_of("SendMessage", identity))
    assert endpoint.answered["SendMessage"] == min(2, engine.attempts)


def test_an_endpoint_that_is_not_there_is_a_failure(engine: Engine) -> None:
    """Refused connections, and names that do not resolve."""
    for url, code in (("http://127.0.0.1:9", "ConnectionRefused"), ("http://nowhere.invalid", None)):
        identity = Identity(region="x", endpoint_url=url, access_key_id="AKIAEXAMPLE", secret_access_key="hush")
        failure = engine.perform(one_of("SendMessage", identity)).failure
        assert failure is not None
        assert failure.kind is Kind.UNREACHABLE
        assert code is None or failure.code == code


def test_a_request_that_hangs_ends_at_its_timeout(engine: Engine, endpoint: Endpoint, identity: Identity) -> None:
    """With a code that says so."""
    endpoint.fault("SendMessage", Hangs())
    failure = engine.perform(one_of("SendMessage", identity)).failure
    assert failure is not None
    assert failure.code == "Timeout"


def test_a_slow_answer_within_the_timeout_is_an_answer(engine: Engine, endpoint: Endpoint, identity: Identity) -> None:
    """Latency is no fault; a long poll's wait is not either, though it is longer than other requests may take."""
    endpoint.fault("SendMessage", Slow(PATIENCE / 10))
    assert engine.perform(one_of("SendMessage", identity)).ok
    poll = operations.receive_message(identity=identity, queue_url="q", max_messages=1, wait_seconds=1)
    assert engine.perform(poll).value == []


@pytest.mark.parametrize("publishing", [False, True])
def test_half_of_a_batch_may_fail(engine: Engine, endpoint: Endpoint, identity: Identity, publishing: bool) -> None:
    """The request is good, and each entry has its own outcome; repeating those that failed is up to the caller."""
    entries: list[Any] = [{"id": entry, "body": entry} for entry in "abcd"]
    if publishing:
        operation = operations.publish_batch(identity=identity, topic_arn="t", entries=entries)
    else:
        operation = operations.send_message_batch(identity=identity, queue_url="q", entries=entries)
    endpoint.fault(operation.action, HalfFails("Throttled"))
    result = engine.perform(operation).value
    assert result.succeeded == {"a": "m-a", "c": "m-c"}
    assert {entry: failure.kind for entry, failure in result.failed.items()} == {
        "b": Kind.THROTTLED,
        "d": Kind.THROTTLED,
    }
    assert endpoint.calls[operation.action] == 1


def test_a_message_may_be_delivered_twice(engine: Engine, endpoint: Endpoint, identity: Identity) -> None:
    """By a standard queue; the engines pass it on as it comes."""
    endpoint.enqueue("once")
    endpoint.fault("ReceiveMessage", DeliveredTwice(), times=2)
    poll = operations.receive_message(identity=identity, queue_url="q", max_messages=1, wait_seconds=0)
    received = [engine.perform(poll).value for _ in range(3)]
    assert [[message["Body"] for message in messages] for messages in received] == [["once"], ["once"], []]
