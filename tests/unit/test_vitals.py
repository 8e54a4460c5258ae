"""What a connection tells of its health while another thread lets go of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kombu import Connection

from kombu_sns_sqs import Health, Transport, health, vitals

if TYPE_CHECKING:
    import pytest


def test_a_connection_that_is_collected_meanwhile_is_not_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    """The look comes from a thread of its own, and kombu collects after an error."""
    transport = Transport(Connection("sns-sqs://"))
    monkeypatch.setattr(vitals, "open_transport", lambda _: transport)
    assert health(Connection("sns-sqs://")) == Health()
