"""The prefetch window."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kombu_sns_sqs.receiving.window import GATHER_AT_MOST, Window

STEPS = st.lists(st.tuples(st.sampled_from(["poll", "answer", "deliver", "ack"]), st.integers(0, 4)), max_size=120)


@given(limit=st.integers(1, 30), steps=STEPS)
def test_polls_never_ask_for_more_than_is_free(limit: int, steps: list[tuple[str, int]]) -> None:
    """But for one single-message poll of each queue; and the application never has more than the window."""
    window = Window(cap=1000, prefetch_count=limit)
    asked: dict[int, list[int]] = {queue: [] for queue in range(5)}
    for now, (step, queue) in enumerate(steps):
        if step == "poll" and (count := window.grant(polling=bool(asked[queue]), now=float(now))):
            free = limit - window.in_hand - window.buffered - window.reserved
            assert count <= max(free, 0) or (count == 1 and not asked[queue])
            assert 1 <= count <= 10
            window.reserved += count
            asked[queue].append(count)
        elif step == "answer" and asked[queue]:
            count = asked[queue].pop()
            window.reserved -= count
            window.buffered += count
        elif step == "deliver" and window.buffered and window.open:
            window.buffered -= 1
            window.in_hand += 1
        elif step == "ack" and window.in_hand:
            window.in_hand -= 1
        assert window.in_hand <= limit


def test_a_full_window_polls_nothing() -> None:
    """Not even for one."""
    window = Window(cap=1000, prefetch_count=2)
    window.in_hand = 2
    assert window.grant(polling=False, now=0.0) == 0
    assert not window.open


def test_no_prefetch_count_means_the_cap() -> None:
    """AMQP's "unlimited" must not fill the memory."""
    window = Window(cap=3)
    assert window.limit == 3
    assert window.grant(polling=False, now=0.0) == 3


def test_on_demand_the_application_has_the_last_word() -> None:
    """Whichever is less, what the window has free or what there is a place for; polls in flight count in both."""
    window, places = Window(cap=1000, prefetch_count=8), [5]
    window.demand = lambda: places[0]
    assert window.grant(polling=False, now=0.0) == 5
    window.reserved = 5
    assert window.grant(polling=False, now=0.0) == 1
    assert window.grant(polling=True, now=0.0) == 0
    window.reserved, window.buffered, places[0] = 0, 1, 0
    assert (window.open, window.full, window.overfull) == (False, False, True)
    assert window.grant(polling=False, now=0.0) == 0
    places[0], window.in_hand = 100, 6
    assert (window.open, window.overfull) == (True, False)
    window.in_hand = 8
    assert (window.open, window.full) == (False, True)


def test_a_few_free_slots_wait_a_moment_for_more() -> None:
    """A poll for one message costs what a poll for ten costs."""
    window = Window(cap=1000, prefetch_count=100)
    window.in_hand = 95
    assert window.grant(polling=False, now=7.0) == 0
    assert window.next_grant == 7.0 + GATHER_AT_MOST
    window.in_hand = 93
    assert window.grant(polling=False, now=7.0 + GATHER_AT_MOST / 2) == 0
    assert window.grant(polling=False, now=7.0 + GATHER_AT_MOST) == 7
    assert window.next_grant is None


def test_enough_free_slots_wait_for_nothing() -> None:
    """Ten, or half of a small window."""
    window = Window(cap=1000, prefetch_count=100)
    window.in_hand = 90
    assert window.grant(polling=False, now=0.0) == 10
    window = Window(cap=1000, prefetch_count=4)
    window.in_hand = 2
    assert window.grant(polling=False, now=0.0) == 2
    window = Window(cap=1000, prefetch_count=1)
    assert window.grant(polling=False, now=0.0) == 1


def test_a_small_window_waits_less() -> None:
    """Its messages may all be running, and a process of the pool idle."""
    window = Window(cap=1000, prefetch_count=10)
    window.in_hand = 9
    assert window.grant(polling=False, now=7.0) == 0
    assert window.grant(polling=False, now=7.011) == 1
