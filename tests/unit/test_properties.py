"""Properties that AMQP gives a form."""

from __future__ import annotations

from typing import Any

import amqp
import pytest

from kombu_sns_sqs.errors import InvalidProperty, MessageError
from kombu_sns_sqs.wire.properties import check_properties


@pytest.mark.parametrize("expiration", ["abc" * 1000, "-1", -1, "", "inf", "nan", [1], "1 s"])
def test_an_expiration_that_is_no_time_is_refused(expiration: Any) -> None:
    """As RabbitMQ refuses it, with what to give; a long one is cut."""
    with pytest.raises(InvalidProperty, match="invalid expiration") as caught:
        check_properties({"expiration": expiration})
    assert isinstance(caught.value, amqp.PreconditionFailed)
    assert isinstance(caught.value, MessageError)
    assert caught.value.reply_code == 406
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("priority", ["abc", "5", -1, 256, 1.5, [1]])
def test_a_priority_that_amqp_cannot_carry_is_refused(priority: Any) -> None:
    """It is one octet."""
    with pytest.raises(InvalidProperty, match="from 0 to 255"):
        check_properties({"priority": priority})


@pytest.mark.parametrize(
    "properties",
    [
        {},
        {"expiration": None, "priority": None},
        {"expiration": "0", "priority": 0},
        {"expiration": 5.5, "priority": 255},
    ],
)
def test_what_can_be_acted_upon_passes(properties: dict[str, Any]) -> None:
    """Milliseconds as text, which AMQP has, or as a number."""
    check_properties(properties)
