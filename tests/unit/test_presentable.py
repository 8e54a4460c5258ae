"""Options with functions in them can be shown as JSON, and work as before."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from kombu import Connection
from kombu.utils.json import dumps, loads

from kombu_sns_sqs import Hooks
from kombu_sns_sqs.presentable import as_given, presentable

KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
OPTIONS: dict[str, Any] = {
    "access_key_id": "AKIAIOSFODNN7EXAMPLE",
    "aws_secret_access_key": KEY,
    "session_token": KEY[::-1],
    "on_lease_lost": len,
    "hooks": Hooks,
    "predefined_queues": {"q": {"url": "u", "backoff_policy": max}, "r": {"secret_access_key": KEY}},
    "client-config": {"proxies": {"https": f"http://me:{KEY[:9]}@proxy:3128"}},
    "ack_delay": 0.1,
}


def test_a_connection_with_functions_among_its_options_can_be_shown() -> None:
    """Celery does that for `inspect stats`: a worker that cannot does not answer."""
    options = {
        "on_lease_lost": len,
        "hooks": Hooks,
        "predefined_queues": {"q": {"backoff_policy": max}},
        "ack_delay": 1,
    }
    connection = Connection("sns-sqs://", transport_options=options)
    before = repr(connection.transport_options)
    assert connection.transport is not None
    shown = loads(dumps(connection.info()))["transport_options"]
    assert shown["on_lease_lost"] == "builtins.len"
    assert shown["hooks"] == "kombu_sns_sqs.monitoring.hooks.Hooks"
    assert shown["predefined_queues"]["q"] == {"backoff_policy": "builtins.max"}
    assert shown["ack_delay"] == 1
    assert repr(connection.transport_options) == before, "kombu's pools know a connection by this"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"backoff_tasks": {"b", "a"}}, {"backoff_tasks": ["a", "b"]}),
        ({"verify": Path("ca.pem")}, {"verify": f"pathlib.{type(Path()).__name__}"}),
        ({"retry_errors": (OSError, len)}, {"retry_errors": ["builtins.OSError", "builtins.len"]}),
        ({"queue_tags": {("a", "b"): 1}}, {"queue_tags": "builtins.dict"}),
        ({"proxies": {"https": "http://me:pa/ss@proxy"}}, {"proxies": {"https": "********"}}),
    ],
)
def test_whatever_stands_among_the_options_they_can_be_shown(given: dict[str, Any], shown: dict[str, Any]) -> None:
    """One that JSON does not know would keep a worker from answering; and they are read as they were given."""
    once = presentable(given)
    assert json.loads(dumps(once)) == shown
    assert as_given(once) == as_given(pickle.loads(pickle.dumps(once))) == given


def test_what_is_shown_is_what_was_given() -> None:
    """To whoever reads the options, compares them, calls one, or takes them to another process."""
    once = presentable(OPTIONS)
    assert as_given(once) == OPTIONS
    assert presentable(once) == once == OPTIONS
    assert once["on_lease_lost"]([1, 2]) == 2
    assert as_given(pickle.loads(pickle.dumps(once))) == OPTIONS
    assert {once["on_lease_lost"], once["session_token"]} == {len, KEY[::-1]}


def test_no_key_is_shown() -> None:
    """Not to whoever may ask a worker for its statistics, nor where the options are printed."""
    connection = Connection("sns-sqs://", transport_options=OPTIONS)
    assert connection.transport is not None
    for shown in (dumps(connection.info()), repr(connection.transport_options), str(connection.transport_options)):
        assert not any(secret in shown for secret in ("AKIA", KEY, KEY[::-1], KEY[:9]))
    assert loads(dumps(connection.info()))["transport_options"]["session_token"] == "********"
    other = presentable({**OPTIONS, "session_token": "another"})
    assert repr(other) != repr(connection.transport_options), "kombu's pools know a connection by this"
