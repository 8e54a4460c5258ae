"""The door, where it needs no service behind it."""

from __future__ import annotations

import os
from typing import Any, cast

import pytest
from kombu import Connection

import kombu_sns_sqs
from kombu_sns_sqs.aws.sessions import Sessions
from kombu_sns_sqs.options import Options
from kombu_sns_sqs.services import Services

OPTIONS = {"topology": "assume", "region": "eu-central-1", "account_id": "123456789012"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("touch", [repr, Connection.channel, Connection.connect], ids=["shown", "used", "connected"])
def test_a_connection_of_the_parents_is_the_childs_own_when_it_connects(touch: Any) -> None:
    """Whatever the parent has done with it, if only to write it into its log."""
    connection = Connection("sns-sqs://key:secret@localhost:1", transport_options=OPTIONS)
    touch(connection)
    child = os.fork()
    if not child:
        status = 1
        try:
            connection.ensure_connection(max_retries=1)
            assert connection.connected
            connection.channel().close()
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    connection.release()
    kombu_sns_sqs.shutdown()


class Ending:
    """Something that ends, and may be broken."""

    def __init__(self, broken: bool) -> None:
        self.broken = broken
        self.ended = False

    def stop(self, timeout: float) -> None:
        """End, or fail to."""
        self.ended = True
        if self.broken:
            raise RuntimeError("broken")


@pytest.mark.parametrize("broken", ["hopper", "dead_letters", "sweeper"])
def test_acks_are_sent_at_the_end_whatever_else_fails(broken: str, caplog: pytest.LogCaptureFixture) -> None:
    """What was not deleted would run a second time."""
    services = Services(Options(), sessions=Sessions())
    parts = {name: Ending(name == broken) for name in ("hopper", "dead_letters", "sweeper", "settler", "courier")}
    for name, part in parts.items():
        setattr(services, name, cast("Any", part))
    services.close()
    assert all(part.ended for part in parts.values())
    assert {vars(record)["sns_sqs_event"] for record in caplog.records} == {"shutdown_failed"}
