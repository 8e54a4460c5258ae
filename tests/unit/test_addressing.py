"""The names of AMQP on AWS."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kombu_sns_sqs.addressing import check_short_string, is_reply_exchange, queue_name, reply_queue_name, topic_name
from kombu_sns_sqs.errors import AddressingError
from kombu_sns_sqs.temporary_names import (
    TemporaryName,
    bears_uuid,
    is_for_replies,
    is_found_by_name,
    parse_temporary,
    sweeper_queue_name,
    temporary_name_of,
    temporary_prefix,
    temporary_queue_name,
)

LEGAL = string.ascii_letters + string.digits + "_-"
LEGAL_QUEUE = re.compile(r"[A-Za-z0-9_-]{1,80}|(?=.{1,80}$)[A-Za-z0-9_-]+\.fifo")
LEGAL_TOPIC = re.compile(r"[A-Za-z0-9_-]{1,256}|(?=.{1,256}$)[A-Za-z0-9_-]+\.fifo")

prefixes = st.text(LEGAL, max_size=40)
free = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), min_size=1)
names = (
    st.one_of(st.text(LEGAL, min_size=1, max_size=90), st.text(LEGAL + ".@#:/", min_size=1, max_size=255), free)
    .flatmap(lambda name: st.sampled_from([name, f"{name}.fifo"]))
    .filter(lambda name: len(name.encode()) <= 255)
)
owners = st.text(string.ascii_lowercase + string.digits, min_size=8, max_size=12)
tokens = st.text(string.ascii_lowercase + string.digits, min_size=4, max_size=8)
times = st.integers(min_value=1_000_000_000, max_value=10_000_000_000)


@pytest.mark.parametrize("name", ["celery", "a", "A-b_C9", "x" * 80, "orders.fifo", "a--b", "a-p3", "kombu-tmp"])
def test_a_name_that_sqs_takes_stays_itself(name: str) -> None:
    """What kombu's sqs:// created is found under the same name."""
    assert queue_name(name) == name


def test_the_prefix_comes_before_a_name_that_stays_itself() -> None:
    """The prefix is kombu's queue_name_prefix and means the same."""
    assert queue_name("celery", prefix="prod-") == "prod-celery"


@pytest.mark.parametrize(
    "name", ["a.b", "worker@host.celery.pidbox", "x" * 81, "ü", "a.b.fifo", ".fifo", "kombu-tmp-x"]
)
def test_any_other_name_is_made_over(name: str) -> None:
    """A name that SQS refuses, or that is taken for one made here, becomes another, legal one."""
    assert queue_name(name) != name
    assert LEGAL_QUEUE.fullmatch(queue_name(name))


def test_a_name_made_over_can_still_be_read() -> None:
    """Illegal characters become underscores, and a hash follows."""
    assert re.fullmatch(r"celeryev_host_1--[a-z2-7]{14}", queue_name("celeryev.host.1"))


def test_names_on_aws_do_not_change_from_release_to_release() -> None:
    """Queues hold messages across upgrades, so the mapping is part of the interface."""
    assert queue_name("a.b") == "a_b--6ruxe5eg4dd2nm"
    assert queue_name("a.b", level=3) == "a_b-p3--pqqax5t75um36f"
    assert topic_name("celery.pidbox") == "celery_pidbox--34sxkjrsa3j7v3"


@pytest.mark.parametrize("name", ["orders.fifo", "my.orders.fifo", "x" * 90 + ".fifo"])
def test_a_fifo_name_stays_fifo(name: str) -> None:
    """SQS knows a FIFO queue and SNS a FIFO topic by the suffix alone."""
    assert queue_name(name).endswith(".fifo")
    assert topic_name(name).endswith(".fifo")
    assert queue_name(name, level=2).endswith(".fifo")


@given(name=names, prefix=prefixes, level=st.integers(0, 255))
@example(name="ü" * 127, prefix="p" * 40, level=255)
@example(name="x" * 250 + ".fifo", prefix="p" * 40, level=255)
def test_every_queue_name_is_legal_and_carries_its_prefix(name: str, prefix: str, level: int) -> None:
    """Whatever the name in AMQP, SQS takes what comes of it."""
    made = queue_name(name, prefix=prefix, level=level)
    assert LEGAL_QUEUE.fullmatch(made)
    assert made.startswith(prefix)


@given(name=names, prefix=prefixes)
def test_every_topic_name_is_legal_and_carries_its_prefix(name: str, prefix: str) -> None:
    """Whatever the exchange is called, SNS takes what comes of it."""
    made = topic_name(name, prefix=prefix)
    assert LEGAL_TOPIC.fullmatch(made)
    assert made.startswith(prefix)


@given(one=names, other=names, prefix=prefixes)
@example(one="a.b", other="a_b", prefix="")
@example(one="a.b", other="a-b", prefix="")
@example(one="x" * 80, other="x" * 81, prefix="")
@example(one="a", other="a.fifo", prefix="")
def test_two_names_never_share_a_queue_or_a_topic(one: str, other: str, prefix: str) -> None:
    """The mapping is injective."""
    assert (queue_name(one, prefix=prefix) == queue_name(other, prefix=prefix)) == (one == other)
    assert (topic_name(one, prefix=prefix) == topic_name(other, prefix=prefix)) == (one == other)


@given(name=names, prefix=prefixes, level=st.integers(0, 255))
@example(name="a.b", prefix="", level=0)
@example(name="a.b.fifo", prefix="", level=0)
def test_a_queue_called_like_a_name_made_here_does_not_take_it(name: str, prefix: str, level: int) -> None:
    """Not even a name copied from AWS's console collides with the queue it was copied from."""
    made = queue_name(name, prefix=prefix, level=level)
    copied = made.removeprefix(prefix)
    if copied != name:
        assert queue_name(copied, prefix=prefix) != made


@given(name=names, prefix=prefixes)
def test_the_levels_of_a_queue_are_queues_of_their_own(name: str, prefix: str) -> None:
    """No two priority levels share a queue, and none takes the name of a level 0."""
    made = {queue_name(name, prefix=prefix, level=level) for level in range(11)}
    assert len(made) == 11
    assert not {queue_name(one.removeprefix(prefix), prefix=prefix) for one in made if len(one) > len(prefix)} & (
        made - {queue_name(name, prefix=prefix)}
    )


@given(name=names, prefix=prefixes, owner=owners, created=times, token=tokens)
def test_a_temporary_name_is_legal_and_can_be_read_back(
    name: str, prefix: str, owner: str, created: int, token: str
) -> None:
    """The janitor learns owner and age from the name alone, and one ListQueues finds it."""
    made = temporary_queue_name(name, prefix=prefix, owner=owner, created=created, token=token)
    assert LEGAL_QUEUE.fullmatch(made)
    assert made.startswith(temporary_prefix(prefix))
    assert parse_temporary(made, prefix) == TemporaryName(created=created, owner=owner, token=token)


@given(name=names, prefix=prefixes, level=st.integers(0, 255))
@example(name="kombu-tmp-rz0000-owner123-abcd-tail", prefix="", level=0)
@example(name="kombu-tmp", prefix="", level=3)
def test_no_lasting_queue_is_taken_for_a_temporary_one(name: str, prefix: str, level: int) -> None:
    """The janitor must not find a queue that was declared to last."""
    made = queue_name(name, prefix=prefix, level=level)
    assert parse_temporary(made, prefix) is None
    assert not made.startswith(temporary_prefix(prefix))


def test_the_name_of_a_temporary_queue_ends_in_what_it_is_for() -> None:
    """Someone who reads a list of queues sees which is which."""
    made = temporary_queue_name("w@h.celery.pidbox", owner="owner123", created=1_700_000_000, token="tok0")
    assert made == "kombu-tmp-s44we8-owner123-tok0-w_h_celery_pidbox"


@pytest.mark.parametrize(
    "aws_name",
    [
        "celery",
        "kombu-tmp-",
        "kombu-tmp-x-owner123-tok0",
        "other-kombu-tmp-s44we8-owner123-tok0",
        "kombu-tmp-s44we8-o-t",
    ],
)
def test_a_name_of_another_shape_is_not_temporary(aws_name: str) -> None:
    """Queues that merely look alike are nobody's to delete."""
    assert parse_temporary(aws_name) is None


def test_a_temporary_queue_of_another_prefix_is_not_ours() -> None:
    """Two systems in one account do not clean up after each other."""
    made = temporary_queue_name("q", prefix="one-", owner="owner123", created=1_700_000_000, token="tok0")
    assert parse_temporary(made, "two-") is None


UUID = "123e4567-e89b-12d3-a456-426614174000"


@given(one=names, other=names, prefix=prefixes)
@example(one="a.b", other="a_b", prefix="p" * 40)
@example(one="x" * 250 + ".fifo", other="x" * 250, prefix="p" * 40)
def test_a_temporary_queue_that_is_found_by_name_has_a_legal_name_of_its_own(one: str, other: str, prefix: str) -> None:
    """One ListQueues finds it, nobody else's name is the same, and it is not taken for one that tells its owner."""
    made = temporary_name_of(one, prefix=prefix)
    assert LEGAL_QUEUE.fullmatch(made)
    assert made.startswith(temporary_prefix(prefix))
    assert is_found_by_name(made, prefix)
    assert parse_temporary(made, prefix) is None
    assert (made == temporary_name_of(other, prefix=prefix)) == (one == other)
    assert made not in (queue_name(one, prefix=prefix), queue_name(other, prefix=prefix))


def test_the_name_by_which_replies_are_sent_does_not_change_from_release_to_release() -> None:
    """Who replies and who waits for it may not be of the same release."""
    assert temporary_name_of(UUID) == "kombu-tmp-named-123e4567-e89b-12d3-a456-426614174000--yoagmxswlbzb6v"


@pytest.mark.parametrize(
    "aws_name",
    ["kombu-tmp-named-", "kombu-tmp-named-x", "xkombu-tmp-named-a--aaaaaaaaaaaaaa", "kombu-tmp-sweeper.fifo"],
)
def test_a_name_of_another_shape_is_not_found_by_name(aws_name: str) -> None:
    """Neither one that merely begins so, nor that of another prefix."""
    assert not is_found_by_name(aws_name)


@pytest.mark.parametrize("prefix", ["", "p" * 40])
def test_the_queue_that_says_who_sweeps_is_listed_and_is_nobodys(prefix: str) -> None:
    """It is no temporary queue, and no queue of AMQP has its name."""
    name = sweeper_queue_name(prefix)
    assert LEGAL_QUEUE.fullmatch(name)
    assert parse_temporary(name, prefix) is None
    assert not is_found_by_name(name, prefix)
    assert queue_name(name.removeprefix(prefix), prefix=prefix) != name


@pytest.mark.parametrize(
    ("name", "uuid", "replies"),
    [
        (UUID, True, True),
        (UUID.replace("-", ""), True, True),
        (f"{UUID}.reply.celery.pidbox", True, True),
        (f"tenant-{UUID}", True, False),
        (f"{UUID}-orders", True, False),
        ("celery", False, False),
    ],
)
def test_names_of_queues_for_replies_are_told_by_their_form(name: str, uuid: bool, replies: bool) -> None:
    """Which of its two names is likelier to be that of a queue decides where it is looked for first."""
    assert (bears_uuid(name), is_for_replies(name)) == (uuid, replies)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "empty"),
        ("x" * 256, "256 bytes"),
        ("ü" * 128, "256 bytes"),
        ("a\0b", "control character"),
        ("a\x01b", "control character"),
        ("a\uffff", "control character"),
        ("\ud800", "surrogate"),
    ],
)
def test_a_name_that_cannot_be_kept_is_refused_with_the_reason(name: str, says: str) -> None:
    """The error tells what is wrong before AWS has to."""
    with pytest.raises(AddressingError, match=says):
        queue_name(name)
    with pytest.raises(AddressingError, match=says if name else "default exchange"):
        topic_name(name)


@pytest.mark.parametrize("prefix", ["a.b", "ü", "p" * 41, "a b"])
def test_a_prefix_that_no_name_can_begin_with_is_refused(prefix: str) -> None:
    """The prefix is part of every name on AWS, so it is held to the same characters."""
    with pytest.raises(AddressingError, match="at most 40"):
        queue_name("q", prefix=prefix)


@pytest.mark.parametrize("level", [-1, 256])
def test_a_level_that_amqp_does_not_know_is_refused(level: int) -> None:
    """x-max-priority goes to 255."""
    with pytest.raises(AddressingError, match="0 to 255"):
        queue_name("q", level=level)


@pytest.mark.parametrize(
    ("owner", "created", "token"),
    [
        ("short", 1_700_000_000, "tok0"),
        ("Owner-123", 1_700_000_000, "tok0"),
        ("owner123", 0, "tok0"),
        ("owner123", 1_700_000_000, ""),
    ],
)
def test_a_temporary_name_that_could_not_be_read_back_is_refused(owner: str, created: int, token: str) -> None:
    """A queue whose owner nobody can tell would never be removed."""
    with pytest.raises(AddressingError):
        temporary_queue_name("q", owner=owner, created=created, token=token)


def test_a_temporary_name_that_does_not_fit_is_refused() -> None:
    """Owner and token are never cut short: they would no longer tell anything."""
    with pytest.raises(AddressingError, match="shorten"):
        temporary_queue_name("q", prefix="p" * 40, owner="o" * 20, created=1_700_000_000, token="t" * 20)


def test_a_routing_key_may_be_empty() -> None:
    """The empty routing key is an ordinary one in AMQP."""
    check_short_string("", what="routing key", empty=True)


@pytest.mark.parametrize(
    ("exchange", "replies"),
    [
        ("reply.celery.pidbox", True),
        ("reply.a.b.pidbox", True),
        ("celery.pidbox", False),
        ("reply.pidbox", False),
        ("reply.celery", False),
        ("", False),
    ],
)
def test_the_reply_exchanges_of_remote_control_are_known_by_their_names(exchange: str, replies: bool) -> None:
    """They get no topic, because replies go straight to their queue."""
    assert is_reply_exchange(exchange) is replies


def test_a_reply_goes_to_the_queue_that_kombu_names_after_it() -> None:
    """The queue's name is what kombu's Mailbox makes of its oid and its reply exchange."""
    from kombu.pidbox import Mailbox  # noqa: PLC0415 - what is assumed of kombu is asked of kombu

    class Bound:
        oid = "7a1c"

    mailbox = Mailbox("celery")
    mailbox.connection = Bound()
    queue = mailbox.reply_queue
    assert is_reply_exchange(queue.exchange.name)
    assert reply_queue_name(queue.exchange.name, queue.routing_key) == queue.name
