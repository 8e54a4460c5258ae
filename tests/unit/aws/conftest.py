"""An endpoint of this process, and sessions that know nothing of the machine the tests run on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from kombu_sns_sqs.aws.sessions import Sessions
from kombu_sns_sqs.identity import Identity
from tests.faults.endpoint import Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No keys, region, profile, proxy or instance metadata of the machine's."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """An endpoint that answers as AWS does, and can be told not to."""
    with Endpoint() as endpoint:
        yield endpoint


@pytest.fixture
def identity(endpoint: Endpoint) -> Identity:
    """Keys for that endpoint."""
    return Identity(
        region="eu-central-1", endpoint_url=endpoint.url, access_key_id="AKIAEXAMPLE", secret_access_key="hush"
    )


@pytest.fixture
def sessions() -> Sessions:
    """Sessions that are not patient."""
    return Sessions(connect_timeout=1, read_timeout=2)
