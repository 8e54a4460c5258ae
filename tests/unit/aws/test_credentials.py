"""A role is assumed once, renewed before it ends, and not at every signature."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

import pytest

from kombu_sns_sqs.aws.credentials import open_session
from kombu_sns_sqs.identity import Identity

ROLE = "arn:aws:iam::123456789012:role/worker"


@dataclass
class Sts:
    """An STS that counts, and whose sessions end when they are told to."""

    lasts: float
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[dict[str, str]] = field(default_factory=list)

    def create(self, _session: Any, **keys: str) -> Sts:
        """Stand in for the making of a client."""
        self.keys.append(keys)
        return self

    def assume_role(self, **asked: Any) -> dict[str, Any]:
        """Give keys that are numbered."""
        self.asked.append(asked)
        ends = dt.datetime.now(dt.timezone.utc) + dt.timedelta(seconds=self.lasts)
        return {
            "AssumedRoleUser": {"Arn": "arn:aws:sts::123456789012:assumed-role/worker/x"},
            "Credentials": {
                "AccessKeyId": f"ASIA{len(self.asked)}",
                "SecretAccessKey": "hush",
                "SessionToken": "hush",
                "Expiration": ends,
            },
        }


def identity(**more: Any) -> Identity:
    """An identity with a role."""
    return Identity(access_key_id="AKIAEXAMPLE", secret_access_key="hush", role_arn=ROLE, **more)


def test_a_role_is_assumed_at_first_use_with_the_identitys_keys() -> None:
    """Under the name CloudTrail is to show, for as long as was asked."""
    sts = Sts(lasts=3600)
    session = open_session(identity(role_session_name="orders", role_seconds=3600), sts.create)
    assert sts.asked == []
    keys = session.get_credentials().get_frozen_credentials()
    assert (keys.access_key, keys.token, keys.account_id) == ("ASIA1", "hush", "123456789012")
    assert sts.asked == [{"RoleArn": ROLE, "RoleSessionName": "orders", "DurationSeconds": 3600}]
    assert sts.keys[0]["aws_access_key_id"] == "AKIAEXAMPLE"


def test_the_shortest_session_is_not_renewed_at_every_signature() -> None:
    """The windows of botocore would have it so."""
    sts = Sts(lasts=900)
    credentials = open_session(identity(), sts.create).get_credentials()
    for _ in range(5):
        credentials.get_frozen_credentials()
    assert len(sts.asked) == 1


@pytest.mark.parametrize("left", [200, 60])
def test_a_session_that_runs_out_is_renewed_by_who_signs_next(left: float) -> None:
    """Before it ends."""
    sts = Sts(lasts=left)
    credentials = open_session(identity(), sts.create).get_credentials()
    sts.lasts = 900
    assert credentials.get_frozen_credentials().access_key == "ASIA2"
    assert credentials.get_frozen_credentials().access_key == "ASIA2"
