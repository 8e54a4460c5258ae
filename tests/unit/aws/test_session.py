"""Signing, and finding out region, endpoint, certificates, proxies and account."""

from __future__ import annotations

import datetime as dt
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from kombu_sns_sqs.aws import operations
from kombu_sns_sqs.aws.session import Session
from kombu_sns_sqs.aws.sessions import Sessions
from kombu_sns_sqs.errors import CredentialsRefused, Failure, Kind, OptionsError
from kombu_sns_sqs.identity import Identity
from tests.faults.endpoint import ITS_ACCOUNT
from tests.faults.weather import CutBefore, Refused, ServerError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.endpoint import Endpoint

KEYS = Identity(
    region="eu-central-1", access_key_id="AKIAEXAMPLE", secret_access_key="hush-secret", session_token="hush-token"
)


def send(identity: Identity) -> operations.Operation:
    """An operation to sign."""
    return operations.send_message(identity=identity, queue_url="https://q", body="é", attributes={})


def by_name(lines: tuple[str, ...]) -> dict[str, str]:
    """Headers by their names."""
    return dict(line.split(": ", 1) for line in lines)


@pytest.mark.parametrize("service", ["sqs", "sns"])
def test_a_signature_is_the_one_botocore_makes(service: str) -> None:
    """Of the same request at the same time, so that AWS will accept it."""
    operation = send(KEYS)._replace(service=service)
    signed = Session(KEYS).sign(operation)
    headers = by_name(signed.headers)
    assert (signed.url, signed.body) == (f"https://{service}.eu-central-1.amazonaws.com/", operation.body)
    assert headers["X-Amz-Security-Token"] == "hush-token"
    again = AWSRequest("POST", signed.url, {**dict(operation.headers), "X-Amz-Date": headers["X-Amz-Date"]})
    again.data = operation.body
    again.headers["X-Amz-Security-Token"] = "hush-token"
    auth = SigV4Auth(Credentials("AKIAEXAMPLE", "hush-secret", "hush-token"), service, "eu-central-1")
    again.context["timestamp"] = headers["X-Amz-Date"]
    canonical = auth.canonical_request(again)
    signature = auth.signature(auth.string_to_sign(again, canonical), again)
    assert headers["Authorization"].endswith(f"Signature={signature}")
    moment = dt.datetime.strptime(headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.timezone.utc)
    assert abs(dt.datetime.now(dt.timezone.utc) - moment) < dt.timedelta(minutes=4)


def test_nothing_that_is_shown_holds_a_secret() -> None:
    """Neither a session, nor a request signed or not."""
    session = Session(KEYS)
    shown = repr([session, send(KEYS), session.sign(send(KEYS)), Sessions()])
    assert "hush" not in shown
    assert "Signature" not in shown
    assert "AKIA" not in shown


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-central-1", "sqs.eu-central-1.amazonaws.com"),
        ("cn-north-1", "sqs.cn-north-1.amazonaws.com.cn"),
        ("us-gov-west-1", "sqs.us-gov-west-1.amazonaws.com"),
    ],
)
def test_the_endpoint_is_the_regions_own_in_every_partition(region: str, host: str) -> None:
    """China has another domain."""
    assert Session(replace(KEYS, region=region)).endpoint("sqs") == f"https://{host}/"


def test_the_endpoint_may_be_given_for_all_or_for_one_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """The option first, then the service's variable, then the general one."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://all.test:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "http://sqs.test:2/base")
    session = Session(KEYS)
    assert (session.endpoint("sqs"), session.endpoint("sns")) == ("http://sqs.test:2/base/", "http://all.test:1/")
    assert Session(replace(KEYS, endpoint_url="http://given.test")).endpoint("sqs") == "http://given.test/"


def test_the_endpoint_may_stand_in_the_profile(tmp_path: Path) -> None:
    """As the other tools of AWS read it."""
    (tmp_path / "config").write_text("[profile dev]\nregion = eu-west-3\nendpoint_url = http://profile.test\n")
    session = Session(replace(KEYS, region=None, profile="dev"))
    assert (session.region, session.endpoint("sns")) == ("eu-west-3", "http://profile.test/")


def test_the_region_is_the_options_then_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order boto3 has, and AWS_REGION, which the other SDKs read, last."""
    bare = replace(KEYS, region=None)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert Session(bare).region == "eu-west-1"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-2")
    assert Session(bare).region == "eu-west-2"
    assert Session(KEYS).region == "eu-central-1"


def test_without_a_region_the_error_says_what_to_set() -> None:
    """There is no default that would be right."""
    with pytest.raises(OptionsError, match="AWS_DEFAULT_REGION"):
        _ = Session(replace(KEYS, region=None)).region


def test_a_region_of_the_environment_that_cannot_be_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before a request is made of it, and saying where it may come from."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us east 1")
    with pytest.raises(OptionsError, match=r"'us east 1'.*AWS_DEFAULT_REGION"):
        Session(replace(KEYS, region=None)).control("sqs")


def test_without_credentials_the_error_says_what_to_do() -> None:
    """Before any request is sent."""
    with pytest.raises(CredentialsRefused, match="AWS_ACCESS_KEY_ID"):
        Session(Identity(region="eu-central-1")).sign(send(Identity()))


def test_a_profile_that_does_not_exist_is_refused_at_once() -> None:
    """At construction, naming it."""
    with pytest.raises(OptionsError, match="nobody"):
        Session(Identity(profile="nobody"))


def test_keys_are_found_in_environment_and_profile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By botocore's own chain."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAENVIRONMENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    (tmp_path / "credentials").write_text("[dev]\naws_access_key_id = AKIAPROFILE\naws_secret_access_key = hush\n")
    for profile, key in ((None, "AKIAENVIRONMENT"), ("dev", "AKIAPROFILE")):
        identity = Identity(region="eu-central-1", profile=profile)
        assert f"Credential={key}/" in by_name(Session(identity).sign(send(identity)).headers)["Authorization"]


def test_certificates_are_those_given_else_the_environments_else_botocores(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One answer for every engine, and for boto3."""
    assert Session(KEYS, verify=False).certificates is None
    usual = Session(KEYS).certificates
    assert usual is not None
    assert usual.endswith((".pem", ".crt"))
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "company.pem"))
    assert Session(KEYS).certificates == str(tmp_path / "company.pem")
    assert Session(KEYS, verify="/given.pem").certificates == "/given.pem"


def test_a_proxy_is_the_configs_else_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its exceptions; and the same for every engine."""
    aws = "https://sqs.eu-central-1.amazonaws.com/"
    assert Session(KEYS).proxy(aws) is None
    monkeypatch.setenv("HTTPS_PROXY", "proxy.test:3128")
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
    session = Session(KEYS)
    assert session.proxy(aws) == "http://proxy.test:3128"
    assert session.proxy("https://127.0.0.1:9000/") is None
    assert session.proxy("http://plain.test/") is None
    configured = Session(KEYS, client_config={"proxies": {"https": "http://other.test:1"}})
    assert configured.proxy(aws) == "http://other.test:1"


def test_a_control_client_is_made_once_and_bears_our_timeouts() -> None:
    """By however many threads it is asked for."""
    session = Session(KEYS, connect_timeout=1.5, read_timeout=2.5, client_config={"max_pool_connections": 3})
    got: list[Any] = []
    threads = [threading.Thread(target=lambda: got.append(session.control("sns"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(client) for client in got}) == 1
    config = got[0].meta.config
    assert (config.connect_timeout, config.read_timeout, config.max_pool_connections) == (1.5, 2.5, 3)
    assert config.retries == {"mode": "standard", "total_max_attempts": 6}


def test_the_account_is_asked_of_the_endpoint_given_and_remembered(endpoint: Endpoint, identity: Identity) -> None:
    """An emulator answers for STS too."""
    session = Session(identity)
    assert [session.account_id(), session.account_id()] == [ITS_ACCOUNT, ITS_ACCOUNT]
    assert endpoint.calls["GetCallerIdentity"] == 1


def test_an_endpoint_that_is_no_sts_yields_a_failure(endpoint: Endpoint, identity: Identity) -> None:
    """Whatever it answers, and it is asked again the next time."""
    session = Session(identity)
    for fault in (ServerError(404), ServerError(200), Refused("InvalidAction"), CutBefore()):
        endpoint.fault("GetCallerIdentity", fault, times=1)
        assert isinstance(session.account_id(), Failure)
    assert session.account_id() == ITS_ACCOUNT


def test_the_account_is_known_without_a_call_where_the_credentials_say_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As those of a role or of the environment may."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAENVIRONMENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    monkeypatch.setenv("AWS_ACCOUNT_ID", "123456789012")
    assert Session(Identity(region="eu-central-1", endpoint_url="http://127.0.0.1:9")).account_id() == "123456789012"


def test_an_account_that_cannot_be_found_out_is_a_failure() -> None:
    """A value, and soon."""
    failure = Session(replace(KEYS, endpoint_url="http://127.0.0.1:9")).account_id()
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.code) == (Kind.UNREACHABLE, "EndpointConnectionError")
    assert isinstance(Session(Identity(region="eu-central-1")).account_id(), Failure)


def test_an_operation_may_take_the_longer_of_its_time_and_the_sessions() -> None:
    """A long poll has its wait on top."""
    poll = operations.receive_message(identity=KEYS, queue_url="q", max_messages=1, wait_seconds=20)
    assert Session(KEYS, read_timeout=3).timeout_of(send(KEYS)) == 3
    assert Session(KEYS, read_timeout=3).timeout_of(poll) == 25
    assert Session(KEYS, read_timeout=60).timeout_of(poll) == 60


def test_timeouts_of_nothing_are_refused() -> None:
    """They would mean for ever to libcurl."""
    with pytest.raises(OptionsError, match="above 0"):
        Session(KEYS, read_timeout=0)


def test_sessions_are_one_an_identity() -> None:
    """Equal identities share it, keys and all."""
    sessions = Sessions(read_timeout=3)
    assert sessions.get(KEYS) is sessions.get(replace(KEYS))
    assert sessions.get(KEYS) is not sessions.get(replace(KEYS, secret_access_key="other"))
    assert sessions.get(KEYS).read_timeout == 3


def test_refreshing_finds_new_credentials_once_for_many_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests in flight together are refused together."""
    now = 100.0
    sessions = Sessions(clock=lambda: now)
    identity = Identity(region="eu-central-1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")

    def key_used() -> str:
        authorization = by_name(sessions.get(identity).sign(send(identity)).headers)["Authorization"]
        return authorization.partition("Credential=")[2].partition("/")[0]

    used = []
    for key, seconds in (("AKIAONE", 0), ("AKIATWO", 1), ("AKIATHREE", 1), ("AKIAFOUR", 60)):
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
        now += seconds
        if key != "AKIAONE":
            sessions.refresh(identity)
        used.append(key_used())
    assert used == ["AKIAONE", "AKIATWO", "AKIATWO", "AKIAFOUR"]
