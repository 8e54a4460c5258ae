"""Keys that name a reply queue and a call."""

from __future__ import annotations

from uuid import UUID, uuid3, uuid4, uuid5

import pytest

from kombu_sns_sqs.addressing import reply_queue_name
from kombu_sns_sqs.reply_keys import queue_key, reply_key

TOKEN = "0123456789abcdef012345"


def test_a_key_is_a_uuid_that_no_other_kind_of_uuid_is_taken_for() -> None:
    """Of the version that is left to applications."""
    assert UUID(reply_key(TOKEN, 7)).version == 8
    assert str(UUID(reply_key(TOKEN, 7))) == reply_key(TOKEN, 7)


def test_calls_have_keys_of_their_own_and_one_queue() -> None:
    """Beyond the last number the first comes again."""
    keys = [reply_key(TOKEN, call) for call in (0, 1, 2, 16**8 - 1)]
    assert len(set(keys)) == 4
    assert {queue_key(key) for key in keys} == {reply_key(TOKEN)}
    assert reply_key(TOKEN, 16**8 + 1) == reply_key(TOKEN, 1)


def test_two_tokens_never_share_a_queue() -> None:
    """Whichever digit they differ in."""
    others = {queue_key(reply_key(TOKEN[:at] + "f" + TOKEN[at + 1 :], 1)) for at in range(22)}
    assert len(others) == 22  # one of the digits is an f already
    assert sum(key == reply_key(TOKEN) for key in others) == 1


@pytest.mark.parametrize(
    "key",
    [str(uuid4()), str(uuid3(uuid4(), "x")), str(uuid5(uuid4(), "x")), "", "client", reply_key(TOKEN) + "0"],
    ids=["uuid4", "uuid3", "uuid5", "empty", "word", "longer"],
)
def test_other_keys_stay_as_they_are(key: str) -> None:
    """Kombu's own, and whatever plain kombu uses."""
    assert queue_key(key) == key


def test_a_reply_finds_the_queue_of_its_call() -> None:
    """Exchange and key are all that who replies is told."""
    assert reply_queue_name("reply.celery.pidbox", reply_key(TOKEN, 99)) == f"{reply_key(TOKEN)}.reply.celery.pidbox"
