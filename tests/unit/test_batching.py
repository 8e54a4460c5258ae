"""The one batcher."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kombu_sns_sqs.batching import Batcher


def test_a_batch_is_due_when_it_is_full() -> None:
    """Ten items, whatever their age."""
    batcher: Batcher[str, int] = Batcher(max_age=60)
    assert [batcher.add("q", number, now=0) for number in range(10)] == [False] * 9 + [True]
    assert batcher.due(0) == [("q", list(range(10)))]
    assert batcher.due(1000) == []


def test_a_batch_is_due_when_it_is_old() -> None:
    """Counted from its first item."""
    batcher: Batcher[str, int] = Batcher(max_age=5)
    batcher.add("q", 1, now=0)
    batcher.add("q", 2, now=4)
    assert batcher.next_due() == 5
    assert batcher.due(4.9) == []
    assert batcher.due(5) == [("q", [1, 2])]
    assert batcher.next_due() is None


def test_bytes_close_a_batch_before_it_grows_too_large() -> None:
    """An item larger than the limit goes alone."""
    batcher: Batcher[str, str] = Batcher(max_age=60, max_bytes=100)
    batcher.add("q", "a", now=0, size=60)
    assert batcher.add("q", "b", now=0, size=60)
    batcher.add("q", "c", now=0, size=500)
    assert batcher.due(0) == [("q", ["a"]), ("q", ["b"]), ("q", ["c"])]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 120)), max_size=60))
def test_nothing_is_lost_or_reordered_and_no_batch_is_too_large(items: list[tuple[str, int]]) -> None:
    """Whatever comes in, by key."""
    batcher: Batcher[str, tuple[int, int]] = Batcher(max_age=1, max_bytes=100)
    out: list[tuple[str, list[tuple[int, int]]]] = []
    for number, (key, size) in enumerate(items):
        batcher.add(key, (number, size), now=number, size=size)
        out += batcher.due(number)
    assert len(batcher) + sum(len(batch) for _, batch in out) == len(items)
    out += batcher.drain()
    for key in "abc":
        got = [item for of, batch in out if of == key for item in batch]
        assert got == [(number, size) for number, (of, size) in enumerate(items) if of == key]
    assert all(len(batch) <= 10 for _, batch in out)
    assert all(len(batch) == 1 or sum(size for _, size in batch) <= 100 for _, batch in out)
