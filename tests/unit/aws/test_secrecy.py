"""No key is in a log, whatever its level."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import boto3
import pytest

from kombu_sns_sqs.aws import operations
from kombu_sns_sqs.aws.blocking import BlockingClient
from kombu_sns_sqs.aws.control import ControlPlane
from kombu_sns_sqs.aws.secrecy import Secretly
from kombu_sns_sqs.aws.sessions import Sessions
from tests.faults.relay import Answer, Relay

if TYPE_CHECKING:
    from kombu_sns_sqs.identity import Identity
    from tests.faults.endpoint import Endpoint
    from tests.faults.relay import Request

#: What no log may hold: key ids, secrets, tokens, and what is made with them.
KEYS = ("AKIAEXAMPLE", "ASIAROLE", "hush", "Signature=", "Credential=")


class GivesKeys:
    """STS lends a role's keys."""

    def apply(self, request: Request, relay: Relay) -> Answer:
        """Answer with them."""
        keys = (
            "<AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>hush-role/secret</SecretAccessKey>"
            "<SessionToken>hush-role-token</SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration>"
        )
        result = f"<AssumeRoleResult><Credentials>{keys}</Credentials></AssumeRoleResult>"
        return Answer(200, f"<AssumeRoleResponse>{result}</AssumeRoleResponse>".encode(), {"Content-Type": "text/xml"})


@pytest.fixture
def spoken_for(identity: Identity) -> Identity:
    """Keys with a session token, for the endpoint."""
    return replace(identity, secret_access_key="hush/hush-secret", session_token="hush-token")


@pytest.mark.parametrize("role", [None, "arn:aws:iam::123456789012:role/worker"])
def test_no_key_is_logged_at_the_level_debug(
    endpoint: Endpoint, spoken_for: Identity, role: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """By neither plane, nor where a role is assumed or the account is asked for; the requests are logged even so."""
    endpoint.fault("AssumeRole", GivesKeys())
    identity, sessions = replace(spoken_for, role_arn=role), Sessions()
    with caplog.at_level(logging.DEBUG):
        sessions.get(identity).control("sqs")
        control = ControlPlane(sessions)
        assert control.call(identity, "sqs", "get_queue_url", QueueName="q").ok
        assert control.account_id(identity) == "123456789012"
        BlockingClient(sessions).call(
            operations.send_message(identity=identity, queue_url=endpoint.url, body="x", attributes={})
        )
    assert endpoint.calls["GetQueueUrl"] == endpoint.calls["SendMessage"] == 1
    assert endpoint.calls["AssumeRole"] == (role is not None)
    assert "Making request for OperationModel(name=GetQueueUrl)" in caplog.text
    assert [key for key in KEYS if key in caplog.text] == []


def test_who_debugs_something_else_with_botocore_is_not_disturbed(
    endpoint: Endpoint, spoken_for: Identity, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor is anything changed for those who come after us in the same thread."""
    keys = {"aws_access_key_id": "AKIAOTHER", "aws_secret_access_key": "theirs"}
    other = boto3.client("sqs", endpoint_url=endpoint.url, region_name="eu-central-1", **keys)
    with caplog.at_level(logging.DEBUG):
        ControlPlane(Sessions()).call(spoken_for, "sqs", "get_queue_url", QueueName="q")
        assert "Signature" not in caplog.text
        other.get_queue_url(QueueName="q")
        with pytest.raises(LookupError), Secretly():
            raise LookupError
        other.get_queue_url(QueueName="q")
    assert caplog.text.count("Credential=AKIAOTHER") == 2
