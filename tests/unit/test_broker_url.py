"""Reading the broker URL."""

from __future__ import annotations

import pytest

from kombu_sns_sqs.broker_url import BrokerURL
from kombu_sns_sqs.errors import OptionsError


@pytest.mark.parametrize(
    ("text", "host", "port", "prefix", "endpoint"),
    [
        ("sns-sqs://", "", None, "", None),
        ("sns-sqs://@", "", None, "", None),
        ("sns-sqs:///dev-", "", None, "dev-", None),
        ("sns-sqs://local", "local", None, "", None),
        ("sns-sqs://localhost:4566", "localhost", 4566, "", "http://localhost:4566"),
        ("sns-sqs://127.0.0.1:4566/a-", "127.0.0.1", 4566, "a-", "http://127.0.0.1:4566"),
        ("sns-sqs://[::1]:4566", "[::1]", 4566, "", "http://[::1]:4566"),
        ("sns-sqs://broker.example:8443", "broker.example", 8443, "", "https://broker.example:8443"),
        ("sns-sqs://sqs.eu-west-1.amazonaws.com", "sqs.eu-west-1.amazonaws.com", None, "", None),
    ],
)
def test_host_port_and_prefix_are_read(
    text: str, host: str, port: int | None, prefix: str, endpoint: str | None
) -> None:
    """And the endpoint is https unless it is loopback, and AWS's own where there is no host."""
    url = BrokerURL.parse(text)
    assert (url.host, url.port, url.prefix, url.endpoint()) == (host, port, prefix, endpoint)


def test_the_scheme_of_the_endpoint_can_be_said() -> None:
    """Either way round."""
    assert BrokerURL.parse("sns-sqs://broker.example").endpoint(secure=False) == "http://broker.example"
    assert BrokerURL.parse("sns-sqs://localhost:1").endpoint(secure=True) == "https://localhost:1"


def test_the_host_of_aws_names_the_region() -> None:
    """As users of sqs:// write it."""
    assert BrokerURL.parse("sns-sqs://sqs.eu-west-1.amazonaws.com").region == "eu-west-1"


@pytest.mark.parametrize("secret", ["se/cr+et", "a@b", "a:b", "%2F%40", "plain"])
def test_a_secret_may_hold_what_aws_puts_into_one(secret: str) -> None:
    """A slash is not the path, and quoting is undone."""
    url = BrokerURL.parse(f"sns-sqs://AKID:{secret}@127.0.0.1:1/p-")
    expected = {"%2F%40": "/@"}.get(secret, secret)
    assert (url.access_key_id, url.secret_access_key, url.prefix) == ("AKID", expected, "p-")


def test_what_is_printed_has_no_key() -> None:
    """Nor has the repr."""
    url = BrokerURL.parse("sns-sqs://AKID:SECRET@127.0.0.1:1/p-?region=x")
    assert url.printable == "sns-sqs://127.0.0.1:1/p-?region=x"
    assert "SECRET" not in repr(url)
    assert "AKID" not in repr(url)


@pytest.mark.parametrize(
    "options",
    ["role_session_name=me%40example.com&region=x", "endpoint_url=http%3A%2F%2Fh%2F%3Fa%3Db%26c", "verify=a%20b%2Bc"],
)
def test_what_is_printed_reads_the_same(options: str) -> None:
    """Clones of a connection are made of it."""
    url = BrokerURL.parse(f"sns-sqs://host/p-?{options}")
    assert BrokerURL.parse(url.printable) == url


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sqs://", "scheme"),
        ("sns-sqs://AKID@host", "key:secret"),
        ("sns-sqs://:SECRET@host", "key:secret"),
        ("sns-sqs://host:port", "port"),
        ("sns-sqs://host:70000", "port"),
        ("sns-sqs://ho st", "host"),
        ("sns-sqs://host?region", "option=value"),
        ("sns-sqs://host?region=a&region=b", "twice"),
        ("sns-sqs://host?secret_access_key=SECRET", "broker_transport_options"),
        ("sns-sqs://host?aws_access_key_id=SECRET", "broker_transport_options"),
        ("sns-sqs://host?endpoint_url=http://me:SECRET%40proxy", "broker_transport_options"),
        ("sns-sqs://AKID:SECRET@?role_session_name=me@example.com", "%40"),
        ("sns-sqs://?role_session_name=me@example.com&region=x", "%40"),
    ],
)
def test_what_cannot_be_read_says_why_and_shows_no_key(text: str, says: str) -> None:
    """At once, before any call."""
    with pytest.raises(OptionsError, match=says) as caught:
        BrokerURL.parse(text)
    assert "SECRET" not in str(caught.value)
