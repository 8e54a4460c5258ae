"""The exact match on receipt."""

from __future__ import annotations

from kombu_sns_sqs.topology.knowledge import KnownBindings, Match


def judge(
    known: KnownBindings,
    key: str,
    sent_at: float = 100.0,
    received_at: float = 100.0,
    level: int = 0,
    priority: int = 0,
) -> Match:
    """Judge a message of exchange `e`."""
    return known.match("e", key, sent_at=sent_at, received_at=received_at, level=level, priority=priority)


def test_what_a_known_binding_takes_is_delivered() -> None:
    """Whenever the bindings were read."""
    known = KnownBindings()
    known.add("e", "topic", "a.#")
    assert judge(known, "a.b") is Match.YES


def test_what_nothing_known_takes_is_dropped_on_newer_knowledge_alone() -> None:
    """A binding made by another process since we looked could be the one it came by."""
    known = KnownBindings()
    known.replace([("e", "direct", "a")], as_of=100.0, read_at=50.0)
    assert judge(known, "b", sent_at=99.0) is Match.NO
    assert judge(known, "b", sent_at=101.0) is Match.UNSURE
    assert judge(known, "b", sent_at=101.0, received_at=49.0) is Match.NO


def test_a_key_that_could_not_be_kept_takes_everything() -> None:
    """Where the bindings are not known for certain, deliver."""
    known = KnownBindings()
    known.replace([("e", "direct", None)], as_of=1000.0, read_at=1000.0)
    assert judge(known, "whatever") is Match.YES


def test_a_binding_taken_away_takes_nothing() -> None:
    """One of two, and all of an exchange."""
    known = KnownBindings()
    known.replace([("e", "direct", "a"), ("e", "direct", "b")], as_of=1000.0, read_at=1000.0)
    known.remove("e", "a")
    assert judge(known, "a") is Match.NO
    assert judge(known, "b") is Match.YES
    known.forget("e")
    assert judge(known, "b") is Match.NO


def test_a_message_is_kept_by_its_own_level_alone() -> None:
    """Another copy of it has come to the one it belongs to; the highest takes all that is above it, too."""
    known = KnownBindings()
    known.replace([("e", "fanout", "")], as_of=100.0, read_at=100.0, levels={"e": 3})
    for priority, own in ((0, 0), (1, 1), (2, 2), (9, 2)):
        verdicts = [judge(known, "", level=level, priority=priority) for level in range(3)]
        assert verdicts == [Match.YES if level == own else Match.NO for level in range(3)]


def test_a_message_of_another_level_is_dropped_on_knowledge_of_the_last_minute() -> None:
    """A queue that is deleted cannot have been made again, with other levels, in less."""
    known = KnownBindings()
    known.add("e", "fanout", "", levels=3)
    assert judge(known, "", priority=1) is Match.UNSURE
    known.replace([("e", "fanout", "")], as_of=100.0, read_at=float("-inf"), levels={"e": 3})
    assert judge(known, "", sent_at=159.0, priority=1) is Match.NO
    assert judge(known, "", sent_at=161.0, priority=1) is Match.UNSURE
    known.replace([("e", "fanout", "")], as_of=float("-inf"), read_at=100.0, levels={"e": 3})
    assert judge(known, "", received_at=159.0, priority=1) is Match.NO
    assert judge(known, "", received_at=161.0, priority=1) is Match.UNSURE


def test_where_the_lowest_level_is_bound_alone_it_keeps_everything() -> None:
    """And so does a level of which nothing is known: rather a message too many than one that never comes."""
    known = KnownBindings()
    known.replace([("e", "fanout", "")], as_of=1000.0, read_at=1000.0)
    assert judge(known, "", priority=5) is Match.YES
    assert judge(known, "", level=2, priority=5) is Match.YES


def test_what_no_binding_takes_is_dropped_on_its_own_level_too() -> None:
    """A level is no binding."""
    known = KnownBindings()
    known.replace([("e", "direct", "a")], as_of=1000.0, read_at=1000.0, levels={"e": 3})
    assert judge(known, "b", level=2, priority=2) is Match.NO
