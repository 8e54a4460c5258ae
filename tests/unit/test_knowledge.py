"""The exact match on receipt."""

from __future__ import annotations

from kombu_sns_sqs.topology.knowledge import KnownBindings, Match


def judge(known: KnownBindings, key: str, sent_at: float = 100.0, received_at: float = 100.0) -> Match:
    """Judge a message of exchange `e`."""
    return known.match("e", key, sent_at=sent_at, received_at=received_at)


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
