"""Signatures are the ones botocore makes of the same request at the same time, though most of one is remembered."""

from __future__ import annotations

import calendar
import time
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from hypothesis import given, settings
from hypothesis import strategies as st

from kombu_sns_sqs.aws.signing import Signer

KEYS = ReadOnlyCredentials("AKIAEXAMPLE", "hush/hush", None)
SESSION_KEYS = ReadOnlyCredentials("ASIAEXAMPLE", "hush/hush", "hush+token==")
FORM = (("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"),)
SEND = (
    ("Content-Type", "application/x-amz-json-1.0"),
    ("X-Amz-Target", "AmazonSQS.SendMessage"),
    ("x-amzn-query-mode", "true"),
)
DELETE = (SEND[0], ("X-Amz-Target", "AmazonSQS.DeleteMessageBatch"), SEND[2])
MIDNIGHT = calendar.timegm((2027, 1, 16, 0, 0, 0))


class Clock:
    """A clock that is set."""

    now = float(MIDNIGHT)

    def __call__(self) -> float:
        """Give epoch seconds."""
        return self.now


def signer(keys: ReadOnlyCredentials, clock: Clock, url: str = "https://sqs.eu-central-1.amazonaws.com/") -> Signer:
    """A signer of requests to SQS."""
    return Signer(keys, service="sqs", region="eu-central-1", url=url, user_agent="agent", clock=clock)


def sign(subject: Signer, headers: Any, body: bytes) -> dict[str, str]:
    """Sign a request, and give its headers by name."""
    return dict(line.split(": ", 1) for line in subject.sign(headers, body))


def botocores(keys: ReadOnlyCredentials, url: str, headers: Any, body: bytes, at: float) -> str:
    """What botocore itself authorizes the request with."""
    auth = SigV4Auth(keys, "sqs", "eu-central-1")
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(int(at)))
    token = {"X-Amz-Security-Token": keys.token} if keys.token else {}
    request = AWSRequest("POST", url, {**dict(headers), **token, "X-Amz-Date": stamp}, data=body)
    request.context["timestamp"] = stamp
    canonical = auth.canonical_request(request)
    signature = auth.signature(auth.string_to_sign(request, canonical), request)
    auth._inject_signature_to_request(request, signature)
    return str(request.headers["Authorization"])


@pytest.mark.parametrize("keys", [KEYS, SESSION_KEYS])
@given(
    requests=st.lists(
        st.tuples(
            st.sampled_from([FORM, SEND, DELETE]),
            st.binary(max_size=50),
            st.sampled_from([0.0, 0.2, 1.0, 30_000.0, 86_400.0]),
        ),
        min_size=1,
        max_size=8,
    )
)
@settings(deadline=None, max_examples=50)
def test_one_signature_after_the_other_is_botocores(keys: ReadOnlyCredentials, requests: list[Any]) -> None:
    """Within a second, over seconds and days, for one kind of request after another."""
    clock = Clock()
    subject = signer(keys, clock)
    for headers, body, pause in requests:
        clock.now += pause
        sent = sign(subject, headers, body)
        assert sent["Authorization"] == botocores(keys, subject.url, headers, body, clock.now)
        assert sent["User-Agent"] == "agent"
        assert sent.get("X-Amz-Security-Token") == keys.token
        assert set(headers) <= set(sent.items())


@pytest.mark.parametrize("url", ["http://127.0.0.1:4100/", "https://gateway.example:8443/sqs a/", "https://q.example/"])
def test_port_and_path_of_an_endpoint_are_signed_as_botocore_signs_them(url: str) -> None:
    """An emulator has a port, a gateway a path."""
    clock = Clock()
    sent = sign(signer(KEYS, clock, url), SEND, b"{}")
    assert sent["Authorization"] == botocores(KEYS, url, SEND, b"{}", clock.now)


def test_a_clock_that_is_set_back_is_followed() -> None:
    """Over midnight: the key of the day before signs again."""
    clock = Clock()
    subject = signer(KEYS, clock)
    for now in (MIDNIGHT, MIDNIGHT - 1, MIDNIGHT):
        clock.now = now
        assert sign(subject, SEND, b"x")["Authorization"] == botocores(KEYS, subject.url, SEND, b"x", now)
