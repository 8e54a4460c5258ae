"""Certificates and proxies: the same answer from every engine, and TLS connections that survive a fork."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from kombu_sns_sqs.aws.blocking import BlockingClient
from kombu_sns_sqs.aws.engines import ENGINE_VARIABLE, event_client
from kombu_sns_sqs.aws.exchange import HAS_CURL, CurlExchange, UrllibExchange
from kombu_sns_sqs.aws.retrying import Backoff
from kombu_sns_sqs.aws.sessions import Sessions
from kombu_sns_sqs.errors import Kind
from kombu_sns_sqs.identity import Identity
from tests.faults.endpoint import Endpoint
from tests.unit.aws.waiting import run_until, send

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from kombu_sns_sqs.aws.operation import Operation
    from kombu_sns_sqs.aws.reply import Reply


class SecureEndpoint(Endpoint):
    """An endpoint that speaks TLS."""

    def __init__(self, certificate: Path) -> None:
        super().__init__()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    @property
    def url(self) -> str:
        """With https."""
        return super().url.replace("http:", "https:")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate that nobody trusts, for 127.0.0.1."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    request = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    subprocess.run(
        ["openssl", *request.split(), "-keyout", path, "-out", f"{path}.crt"], check=True, capture_output=True
    )
    path.write_text(path.read_text() + path.with_name("both.pem.crt").read_text())
    return path


@pytest.fixture
def secure(certificate: Path) -> Iterator[SecureEndpoint]:
    """That endpoint."""
    with SecureEndpoint(certificate) as endpoint:
        yield endpoint


@pytest.fixture(params=["blocking curl", "blocking urllib3", "events curl", "events threads"])
def perform(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[Sessions, Operation], Reply]:
    """Each engine, without repeating."""
    style, kind = request.param.split()
    if kind == "curl" and not HAS_CURL:
        pytest.skip("pycurl does not import here")
    monkeypatch.setenv(ENGINE_VARIABLE, kind)

    def block(sessions: Sessions, operation: Operation) -> Reply:
        exchange = CurlExchange() if kind == "curl" else UrllibExchange()
        with closing(BlockingClient(sessions, Backoff(attempts=1), exchange=exchange)) as client:
            return client.perform(operation)

    def drive(sessions: Sessions, operation: Operation) -> Reply:
        with closing(event_client(sessions)) as client:
            replies: list[Reply] = []
            client.call(operation).then(replies.append)
            run_until(client, lambda: replies)
            return replies[0]

    return block if style == "blocking" else drive


def who(endpoint_url: str) -> Identity:
    """Keys for an endpoint."""
    return Identity(
        region="eu-central-1", endpoint_url=endpoint_url, access_key_id="AKIAEXAMPLE", secret_access_key="hush"
    )


def test_a_certificate_nobody_trusts_is_refused(perform: Any, secure: SecureEndpoint) -> None:
    """Before anything is sent."""
    failure = perform(Sessions(), send(who(secure.url))).failure
    assert (failure.kind, failure.code) == (Kind.UNREACHABLE, "SSLError")
    assert secure.calls.total() == 0


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize("how", ["given", "environment", "not at all"])
def test_a_certificate_is_trusted_where_it_was_said(
    perform: Any, secure: SecureEndpoint, certificate: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """By the option, by AWS_CA_BUNDLE, or because all are."""
    verify: dict[str, bool | str] = {"given": str(certificate), "environment": True, "not at all": False}
    if how == "environment":
        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    assert perform(Sessions(verify=verify[how]), send(who(secure.url))).ok


def test_a_proxy_of_the_environment_is_used(perform: Any, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """In either case of the letters, which libcurl by itself would not take for http."""
    monkeypatch.setenv("HTTP_PROXY", endpoint.url)
    assert perform(Sessions(), send(who("http://nowhere.invalid"))).ok
    (request,) = endpoint.requests
    assert request.path == "http://nowhere.invalid/"
    assert request.headers["host"] == "nowhere.invalid"


def test_a_proxy_is_passed_by_where_the_environment_says_so(
    perform: Any, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By NO_PROXY."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert perform(Sessions(), send(who(endpoint.url))).ok


FORKS = """
import os, sys
from kombu_sns_sqs.aws import forks, operations
from kombu_sns_sqs.aws.blocking import BlockingClient
from kombu_sns_sqs.aws.curl_client import CurlClient
from kombu_sns_sqs.aws.exchange import CurlExchange
from kombu_sns_sqs.aws.sessions import Sessions
from kombu_sns_sqs.identity import Identity

engine, url, certificate = sys.argv[1:]
identity = Identity(region="x", endpoint_url=url, access_key_id="AKIAEXAMPLE", secret_access_key="hush")
operation = operations.send_message(identity=identity, queue_url="q", body="x", attributes={})
sessions = Sessions(verify=certificate)
blocking, events = BlockingClient(sessions, exchange=CurlExchange()), CurlClient(sessions)

def perform():
    if engine == "blocking":
        return blocking.perform(operation)
    sent = events.call(operation)
    while not sent.ready:
        events.run_once(5)
    return sent.value[0][0]

assert perform().ok
child = os.fork()
if child == 0:
    sys.exit(0)
os.waitpid(child, 0)
assert perform().ok
"""


@pytest.mark.skipif(not HAS_CURL, reason="pycurl does not import here")
@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not fork")
@pytest.mark.parametrize("engine", ["blocking", "events"])
def test_a_child_that_ends_says_no_goodbye_on_its_parents_connection(
    engine: str, secure: SecureEndpoint, certificate: Path
) -> None:
    """The parent goes on with the one it has."""
    subprocess.run([sys.executable, "-c", FORKS, engine, secure.url, certificate], check=True, timeout=60)
    assert (secure.calls["SendMessage"], secure.connections) == (2, 1)
