"""Which engine is chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kombu_sns_sqs.aws import engines
from kombu_sns_sqs.aws.engines import ENGINE_VARIABLE, event_client
from kombu_sns_sqs.aws.threaded_client import ThreadedClient
from kombu_sns_sqs.errors import OptionsError

if TYPE_CHECKING:
    from kombu_sns_sqs.aws.sessions import Sessions


@pytest.mark.parametrize(
    ("engine", "name"), [("", "CurlClient"), ("curl", "CurlClient"), ("threads", "ThreadedClient")]
)
def test_the_environment_may_force_the_engine(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch, engine: str, name: str
) -> None:
    """Without it, libcurl is taken where it is."""
    pytest.importorskip("pycurl")
    monkeypatch.setenv(ENGINE_VARIABLE, engine)
    client = event_client(sessions)
    client.close()
    assert type(client).__name__ == name


def test_without_pycurl_there_are_threads(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless curl was asked for by name: then it is an error that says why."""
    monkeypatch.setattr(engines, "HAS_CURL", False)
    client = event_client(sessions)
    client.close()
    assert isinstance(client, ThreadedClient)
    monkeypatch.setenv(ENGINE_VARIABLE, "curl")
    with pytest.raises(OptionsError, match="does not import"):
        event_client(sessions)


def test_an_engine_that_does_not_exist_is_refused(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    """Naming those that do."""
    monkeypatch.setenv(ENGINE_VARIABLE, "steam")
    with pytest.raises(OptionsError, match="curl or threads"):
        event_client(sessions)
