"""Options of the URL and of broker_transport_options."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import quote

import pytest

from kombu_sns_sqs.broker_url import BrokerURL
from kombu_sns_sqs.errors import OptionsError
from kombu_sns_sqs.option_reading import read_options
from kombu_sns_sqs.options import Options


def read(url: str = "sns-sqs://", **options: Any) -> Options:
    """Read a URL and some options."""
    return read_options(BrokerURL.parse(url), options)


def test_defaults_are_valid_and_hashable() -> None:
    """Connections with equal options share their services by them."""
    assert read() == Options()
    assert hash(read()) == hash(Options())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"visibilty_timeout": 60}, "did you mean 'visibility_timeout'"),
        ({"whatever": 1}, "valid are"),
        ({"wait_time_seconds": 21}, "between 0 and 20"),
        ({"wait_time_seconds": "soon"}, "must be a number"),
        ({"wait_time_seconds": 1.5}, "whole number"),
        ({"prefetch_limit": "inf"}, "whole number"),
        ({"visibility_timeout": 1}, "between 2 and 43200"),
        ({"visibility_timeout": True}, "must be a number"),
        ({"topology": "destroy"}, "one of 'create', 'validate', 'assume'"),
        ({"filter_policies": "perhaps"}, "true or false"),
        ({"account_id": "12"}, "12 digits"),
        ({"queue_tags": "a=b"}, "mapping"),
        ({"predefined_queues": ["q"]}, "maps a name"),
        ({"predefined_queues": {"q": {}}}, "needs 'url'"),
        ({"predefined_queues": {"q": {"url": "u", "regoin": "x"}}}, "did you mean 'region'"),
        ({"predefined_queues": {"q": {"url": "u", "visibility_timeout": 1}}}, r"\['visibility_timeout'\] is 1"),
        ({"access_key_id": "AKID"}, "without a secret access key"),
        ({"session_token": "t"}, "without access_key_id"),
        ({"sts_token_timeout": 60}, "900 to 43200"),
        ({"sts_token_timeout": 900, "sts_token_buffer_time": 900}, "shorter"),
    ],
)
def test_a_wrong_option_is_an_error_that_names_it(options: dict[str, Any], says: str) -> None:
    """And offers what was probably meant."""
    with pytest.raises(OptionsError, match=says):
        read(**options)


@pytest.mark.parametrize("prefix", ["a.b", "a/b", "p" * 41, "ä", "p#frag", "a b"])
def test_a_name_prefix_that_no_name_can_begin_with_is_refused_when_options_are_read(prefix: str) -> None:
    """From the URL as from the option: it is known then, and not only when the first name is made."""
    with pytest.raises(OptionsError, match="at most 40"):
        read(f"sns-sqs://127.0.0.1:1/{quote(prefix, safe='/#')}/")
    with pytest.raises(OptionsError, match="queue_name_prefix"):
        read(queue_name_prefix=prefix)
    with pytest.raises(OptionsError, match="queue_name_prefix"):
        read(f"sns-sqs://?queue_name_prefix={quote(prefix, safe='')}")


@pytest.mark.parametrize("region", ["us east 1", "-", "eu_central_1", "123", "x" * 64, "eu-central-1\n", "a.b", 7])
def test_a_region_that_cannot_be_one_is_refused_when_options_are_read(region: Any) -> None:
    """Of a queue of another region, too; there botocore would find it at the first call, and we would not hear it."""
    with pytest.raises(OptionsError, match="the AWS region is"):
        read(region=region)
    with pytest.raises(OptionsError, match="the AWS region is"):
        read(predefined_queues={"q": {"url": "https://q", "region": region}})


@pytest.mark.parametrize("region", ["eu-central-1", "us-gov-west-1", "local", "elasticmq", "ru-central1"])
def test_a_region_need_not_be_one_of_amazons(region: str) -> None:
    """Services that speak SQS have their own."""
    assert read(region=region).identity.region == region


def test_the_url_and_the_options_may_repeat_but_not_contradict_each_other() -> None:
    """Of two values neither can be the one that was meant."""
    assert read("sns-sqs://?wait_time_seconds=3", wait_time_seconds=3).wait_time_seconds == 3
    for url, options in (
        ("?wait_time_seconds=3", {"wait_time_seconds": 3.0}),
        ("?eta_by_sqs=0", {"eta_by_sqs": False}),
        ("localhost:1?ssl=no", {"is_secure": False}),
        ("?sts_token_timeout=900", {"role_seconds": 900.0}),
        ("?backoff_tasks=a,%20b", {"backoff_tasks": ["b", "a"]}),
        ("?verify=true", {"verify": True}),
    ):
        assert read(f"sns-sqs://{url}") == read(f"sns-sqs://{url}", **options)
    with pytest.raises(OptionsError, match="contradicts"):
        read("sns-sqs://?wait_time_seconds=3", wait_time_seconds=4)
    with pytest.raises(OptionsError, match="contradicts"):
        read("sns-sqs://?hooks=prometheus", hooks="opentelemetry")
    with pytest.raises(OptionsError, match="differ"):
        read("sns-sqs:///a-", queue_name_prefix="b-")
    assert read("sns-sqs:///a-").queue_name_prefix == "a-"


def test_names_of_sqs_mean_what_they_mean_there() -> None:
    """Moving over is a change of scheme."""
    options = read(
        **{
            "region": "eu-west-1",
            "visibility_timeout": 3600,
            "wait_time_seconds": 10,
            "queue_name_prefix": "celery-",
            "sts_role_arn": "arn:aws:iam::1:role/x",
            "sts_token_timeout": 1800,
            "sqs-creation-attributes": {"KmsMasterKeyId": "alias/mine"},
            "client-config": {"max_pool_connections": 50, "proxies": {"https": "http://proxy"}},
            "queue_tags": {"team": "a"},
            "predefined_queues": {"q": {"url": "https://q", "region": "us-east-2"}},
            "predefined_exchanges": {"e": {"arn": "arn:e"}},
        }
    )
    assert options.identity.region == "eu-west-1"
    assert options.identity.role_arn == "arn:aws:iam::1:role/x"
    assert options.identity.role_seconds == 1800
    assert dict(options.queue_attributes) == {"KmsMasterKeyId": "alias/mine"}
    assert options.client_config["proxies"] == {"https": "http://proxy"}
    assert hash(options)
    queue = options.predefined_queue("q")
    assert queue is not None
    assert (queue.url, queue.identity.region, queue.identity.role_arn) == (
        "https://q",
        "us-east-2",
        "arn:aws:iam::1:role/x",
    )
    exchange = options.predefined_exchange("e")
    assert exchange is not None
    assert exchange.arn == "arn:e"


def test_options_that_have_nothing_to_do_here_are_taken_and_explained(caplog: pytest.LogCaptureFixture) -> None:
    """An app that moves over need not be cleaned up first; kombu's own are not judged at all."""
    with caplog.at_level("INFO"):
        assert read(polling_interval=1, supports_fanout=True, max_retries=3, interval_start=0) == Options()
    assert "no pause between polls" in caplog.text


def test_flags_and_numbers_of_the_url_are_text() -> None:
    """And become what they mean."""
    options = read("sns-sqs://127.0.0.1:1?filter_policies=0&ack_delay=0.5&ssl=1&verify=false")
    assert options.filter_policies is False
    assert options.ack_delay == 0.5
    assert options.verify is False
    assert options.identity.endpoint_url == "https://127.0.0.1:1"


def test_secrets_are_not_in_the_repr() -> None:
    """However they came in."""
    options = read("sns-sqs://AKID:SECRET@127.0.0.1:1", session_token="TOKEN")
    assert options.identity.secret_access_key == "SECRET"
    assert "SECRET" not in repr(options)
    assert "TOKEN" not in repr(options)


def test_a_hook_is_a_function_or_the_path_of_one() -> None:
    """In the URL it can only be the path; what cannot be found is an error at once."""
    assert read(on_lease_lost=print).on_lease_lost is print
    assert read("sns-sqs://?on_lease_lost=os.path:basename").on_lease_lost is os.path.basename
    for wrong in ("os.path:nothing", "no_such_module.f", 7):
        with pytest.raises(OptionsError, match="on_lease_lost"):
            read(on_lease_lost=wrong)
