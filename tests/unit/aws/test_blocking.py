"""The blocking client: answered before the call returns, patient with what passes, at home in threads and forks."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import pytest
from kombu.utils import compat

from kombu_sns_sqs.aws import exchange
from kombu_sns_sqs.aws.blocking import BlockingClient, usual_exchange
from kombu_sns_sqs.aws.client import Client
from kombu_sns_sqs.aws.exchange import HAS_CURL, CurlExchange, UrllibExchange
from kombu_sns_sqs.aws.retrying import Backoff
from kombu_sns_sqs.errors import Kind
from kombu_sns_sqs.identity import Identity
from tests.faults.endpoint import ITS_TIME
from tests.faults.weather import CutBefore, Refused, Throttled
from tests.unit.aws.waiting import send

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kombu_sns_sqs.aws.reply import Reply
    from kombu_sns_sqs.aws.sessions import Sessions
    from tests.faults.endpoint import Endpoint


@pytest.fixture(params=["curl", "urllib3"])
def carrier(request: pytest.FixtureRequest) -> Any:
    """Each way of posting a request."""
    if request.param == "curl" and not HAS_CURL:
        pytest.skip("pycurl does not import here")
    return CurlExchange() if request.param == "curl" else UrllibExchange()


@pytest.fixture
def slept() -> list[float]:
    """How long the client slept."""
    return []


@pytest.fixture
def client(sessions: Sessions, carrier: Any, slept: list[float]) -> Iterator[BlockingClient]:
    """A client that does not really sleep."""
    client = BlockingClient(
        sessions, Backoff(base=1, cap=4, attempts=4), exchange=carrier, sleep=slept.append, chance=lambda: 1.0
    )
    yield client
    client.close()


def test_the_promise_is_fulfilled_when_the_call_returns(client: BlockingClient, identity: Identity) -> None:
    """With the value, and the time on AWS's clock where that was asked for."""
    got: list[Reply] = []
    assert isinstance(client, Client)
    for operation in (send(identity), send(identity)._replace(dated=True)):
        promise = client.call(operation)
        assert promise.ready
        promise.then(got.append)
    assert [(reply.value, reply.date) for reply in got] == [("m", None), ("m", ITS_TIME)]


def test_the_request_arrives_as_it_was_signed(client: BlockingClient, identity: Identity, endpoint: Endpoint) -> None:
    """Body and signed headers unchanged, and nothing that would hold a large body back."""
    operation = send(identity, "é" * 100_000)
    assert client.perform(operation).ok
    (request,) = endpoint.requests
    assert request.body == operation.body
    assert request.headers["host"] == endpoint.url.removeprefix("http://")
    assert request.headers["x-amz-target"] == "AmazonSQS.SendMessage"
    assert "Credential=AKIAEXAMPLE/" in request.headers["authorization"]
    assert "expect" not in request.headers


def test_what_passes_is_repeated_with_growing_patience(
    client: BlockingClient, identity: Identity, endpoint: Endpoint, slept: list[float]
) -> None:
    """And the reply is the last attempt's."""
    endpoint.fault("SendMessage", Throttled(), times=3)
    assert client.perform(send(identity)).ok
    assert (endpoint.calls["SendMessage"], slept) == (4, [1, 2, 4])


def test_what_does_not_pass_in_time_is_a_failure(
    client: BlockingClient, identity: Identity, endpoint: Endpoint, slept: list[float]
) -> None:
    """After the last attempt it does not sleep."""
    endpoint.fault("SendMessage", Throttled())
    failure = client.perform(send(identity)).failure
    assert failure is not None
    assert failure.kind is Kind.THROTTLED
    assert (endpoint.calls["SendMessage"], len(slept)) == (4, 3)


@pytest.mark.parametrize(
    "code", ["AccessDenied", "QueueDoesNotExist", "InvalidMessageContents", "InvalidClientTokenId"]
)
def test_what_does_not_pass_is_not_repeated(
    client: BlockingClient, identity: Identity, endpoint: Endpoint, slept: list[float], code: str
) -> None:
    """The second answer would be the same."""
    endpoint.fault("SendMessage", Refused(code))
    assert not client.perform(send(identity)).ok
    assert (endpoint.calls["SendMessage"], slept) == (1, [])


def test_expired_credentials_are_found_anew_before_the_next_attempt(
    client: BlockingClient, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is signed with the new ones."""
    identity = Identity(region="eu-central-1", endpoint_url=endpoint.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOLD")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    assert client.perform(send(identity)).ok
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIANEW")
    endpoint.fault("SendMessage", Refused("ExpiredToken", 403), times=1)
    assert client.perform(send(identity)).ok
    signed_by = [request.headers["authorization"].partition("Credential=")[2][:7] for request in endpoint.requests]
    assert signed_by == ["AKIAOLD", "AKIANEW"]


def test_an_operation_nobody_can_sign_is_a_failure(client: BlockingClient, endpoint: Endpoint) -> None:
    """Nothing is sent."""
    failure = client.perform(send(Identity(region="eu-central-1", endpoint_url=endpoint.url))).failure
    assert failure is not None
    assert failure.kind is Kind.CREDENTIALS
    assert endpoint.calls.total() == 0


def test_threads_share_a_client_and_keep_connections(
    client: BlockingClient, identity: Identity, endpoint: Endpoint
) -> None:
    """All are answered, each on its own."""
    got: list[bool] = []

    def send_some() -> None:
        got.extend(client.perform(send(identity)).ok for _ in range(25))

    threads = [threading.Thread(target=send_some) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [True] * 150
    assert endpoint.connections <= 12


def test_a_closed_client_answers_so(client: BlockingClient, identity: Identity, endpoint: Endpoint) -> None:
    """And sends nothing."""
    client.close()
    failure = client.perform(send(identity)).failure
    assert failure is not None
    assert (failure.kind, failure.code) == (Kind.UNREACHABLE, "Closed")
    assert endpoint.calls.total() == 0


def test_closing_ends_the_patience_of_a_call_under_way(
    sessions: Sessions, carrier: Any, identity: Identity, endpoint: Endpoint
) -> None:
    """It is not repeated to the end."""
    client = BlockingClient(sessions, Backoff(attempts=50), exchange=carrier, sleep=lambda _: client.close())
    endpoint.fault("SendMessage", CutBefore())
    assert not client.perform(send(identity)).ok
    assert endpoint.calls["SendMessage"] <= 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_makes_connections_of_its_own(
    client: BlockingClient, identity: Identity, endpoint: Endpoint
) -> None:
    """And its parent's go on working after it has ended, in the ordinary way."""
    assert client.perform(send(identity)).ok
    before = endpoint.connections
    child = os.fork()
    if child == 0:
        good = all(client.perform(send(identity, "child")).ok for _ in range(3))
        client.close()
        os._exit(0 if good else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert endpoint.connections == before + 1
    assert client.perform(send(identity)).ok
    assert endpoint.connections == before + 1


@pytest.mark.parametrize(
    ("environment", "has_curl", "expected"),
    [("default", True, CurlExchange), ("default", False, UrllibExchange), ("gevent", True, UrllibExchange)],
)
def test_libcurl_is_used_where_no_greenlet_would_wait_for_it(
    monkeypatch: pytest.MonkeyPatch, environment: str, has_curl: bool, expected: type
) -> None:
    """Inside libcurl no greenlet can be switched."""
    monkeypatch.setattr(compat, "_environment", environment)
    monkeypatch.setattr("kombu_sns_sqs.aws.blocking.HAS_CURL", has_curl and exchange.HAS_CURL)
    assert isinstance(usual_exchange(), expected)
