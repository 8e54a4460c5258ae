"""The prefetch window."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from kombu_sns_sqs.receiving.pace import Pace
from kombu_sns_sqs.receiving.window import GATHER_AT_MOST, PATIENCE, Grant, Window

STEPS = st.lists(
    st.tuples(st.sampled_from(["poll", "answer", "deliver", "ack"]), st.integers(0, 4), st.integers(0, 10)),
    max_size=120,
)


def window(limit: int, *, in_hand: int = 0, sources: int = 1) -> Window:
    """A window of so many slots."""
    made = Window(cap=1000, prefetch_count=limit)
    made.in_hand, made.sources = in_hand, sources
    return made


def ask(of: Window, messages: int = 0, *, polling: bool = False, since: float | None = None, now: float = 0) -> Grant:
    """Ask for a poll."""
    return of.grant(messages, polling=polling, since=since, now=now)


@given(limit=st.integers(1, 30), sources=st.integers(1, 20), steps=STEPS)
def test_polls_never_ask_for_more_than_is_free(limit: int, sources: int, steps: list[tuple[str, int, int]]) -> None:
    """But for one single-message poll of each queue; and the application never has more than the window."""
    of = window(limit, sources=sources)
    asked: dict[int, list[Grant]] = {queue: [] for queue in range(5)}
    for now, (step, queue, messages) in enumerate(steps):
        if step == "poll":
            grant = ask(of, messages, polling=bool(asked[queue]), now=now)
            free = limit - of.in_hand - of.buffered - of.reserved
            assert grant.messages <= max(free, 0) or (grant.messages == 1 and not asked[queue])
            assert 0 <= grant.reserved <= grant.messages <= 10
            assert grant.again is None or grant.again > now
            if grant.messages:
                of.reserved += grant.reserved
                asked[queue].append(grant)
        elif step == "answer" and asked[queue]:
            grant = asked[queue].pop()
            of.reserved -= grant.reserved
            of.buffered += grant.messages
        elif step == "deliver" and of.buffered and of.open:
            of.buffered -= 1
            of.in_hand += 1
        elif step == "ack" and of.in_hand:
            of.in_hand -= 1
        assert of.in_hand <= limit


def test_a_full_window_polls_nothing_until_an_ack() -> None:
    """Not even for one; and no timer looks."""
    of = window(2, in_hand=2)
    assert ask(of) == Grant()
    assert not of.open


def test_no_prefetch_count_means_the_cap() -> None:
    """AMQP's "unlimited" must not fill the memory."""
    of = Window(cap=3)
    assert of.limit == 3
    assert ask(of).messages == 3


def test_on_demand_the_application_has_the_last_word() -> None:
    """Whichever is less, what the window has free or what there is a place for; polls in flight count in both."""
    of, places = window(8), [5]
    of.demand = lambda: places[0]
    assert ask(of).messages == 5
    of.reserved = 5
    assert ask(of).messages == 0
    of.reserved = 4
    assert ask(of).messages == 1  # at once: a process stands idle
    of.reserved, of.buffered, places[0] = 0, 1, 0
    assert (of.open, of.full, of.overfull) == (False, False, True)
    assert ask(of) == Grant()
    places[0], of.in_hand = 100, 6
    assert (of.open, of.overfull) == (True, False)
    of.in_hand = 8
    assert (of.open, of.full) == (False, True)


def test_a_few_free_slots_wait_a_moment_for_more() -> None:
    """A poll for one message costs what a poll for ten costs."""
    of = window(100, in_hand=95)
    assert ask(of, now=7) == Grant(again=7 + GATHER_AT_MOST)
    assert of.settled_quietly
    of.in_hand = 93
    assert ask(of, now=7 + GATHER_AT_MOST / 2).messages == 0
    assert ask(of, now=7 + GATHER_AT_MOST) == Grant(messages=7, reserved=7)
    assert not of.settled_quietly


def test_enough_free_slots_wait_for_nothing() -> None:
    """Ten, or half of a small window."""
    assert ask(window(100, in_hand=90)).messages == 10
    assert ask(window(4, in_hand=2)).messages == 2
    assert ask(window(1)).messages == 1


def test_a_small_window_waits_less() -> None:
    """Its messages may all be running, and a process of the pool idle."""
    of = window(10, in_hand=9)
    assert ask(of, now=7).messages == 0
    assert ask(of, now=7.011).messages == 1


def test_idle_queues_leave_half_of_the_window_to_those_that_have_something() -> None:
    """However many they are: their long polls may be open for twenty seconds."""
    of = window(100, sources=10)
    for _ in range(9):
        of.reserved += ask(of).reserved
    assert of.reserved == 45
    assert ask(of, 10).messages == 10
    of = window(100, sources=100)
    assert ask(of) == Grant(messages=1, reserved=0)
    assert ask(of, polling=True) == Grant()


def test_a_queue_that_finds_all_slots_taken_may_have_one_message_after_a_while() -> None:
    """Others may be asking in vain; but while they get answers, it waits for slots enough."""
    of = window(20, sources=3)
    of.reserved = 20
    assert ask(of, 10, now=5) == Grant(again=5 + PATIENCE)
    assert ask(of, 10, since=5, now=5 + PATIENCE) == Grant(messages=1, reserved=0)
    assert ask(of, 10, polling=True, since=5, now=5 + PATIENCE) == Grant()


def test_a_queue_waits_for_as_long_as_slots_are_given_to_others() -> None:
    """Its turn comes: a message fetched alone costs as much as ten."""
    of = window(20, sources=3)
    of.reserved = 20
    assert ask(of, 10, now=5) == Grant(again=5 + PATIENCE)
    of.reserved = 10
    assert ask(of, 10, now=5.25).messages == 10
    of.reserved = 20
    assert ask(of, 10, since=5, now=5 + PATIENCE) == Grant(again=5.25 + PATIENCE)


def test_what_gathers_for_a_queue_is_not_taken_by_small_polls_of_those_after_it() -> None:
    """They have their turn when it has had its own; a second poll of a queue can wait without being in the way."""
    of = window(20, in_hand=15, sources=3)
    assert ask(of, 10, now=5).messages == 0
    assert ask(of, 4, now=5).messages == 0
    of.in_hand = 10
    assert [ask(of, messages, now=5.001).messages for messages in (10, 4)] == [10, 4]
    of = window(20, in_hand=15, sources=3)
    assert ask(of, 10, polling=True, now=5).messages == 0
    assert ask(of, 4, now=5).messages == 4


@settings(max_examples=20)
@given(queues=st.integers(2, 100), limit=st.integers(20, 200), settled=st.integers(5, 40))
def test_backlogged_queues_take_turns_at_ten_messages_a_poll(queues: int, limit: int, settled: int) -> None:
    """However many they are under one window: few polls for each message, and as many messages for each queue."""
    of, now = window(limit, sources=queues), 0.0
    paces = {number: Pace() for number in range(queues)}
    got = dict.fromkeys(paces, 0)
    polls = 0
    for _ in range(50 * queues // settled):
        asked: list[tuple[int, Grant]] = []
        for number in sorted(paces, key=lambda number: got[number]):
            pace = paces[number]
            grant = of.grant(pace.ask, polling=pace.in_flight > 0, since=pace.waiting_since, now=now)
            if grant.messages:
                pace.polls()
                of.reserved += grant.reserved
                asked.append((number, grant))
            else:
                pace.wait_for_slots(now, grant.again)
        for number, grant in asked:
            polls += 1
            got[number] += grant.messages
            of.reserved -= grant.reserved
            of.in_hand += grant.messages
            paces[number].in_flight -= 1
            paces[number].answered(asked=grant.messages, got=grant.messages, at=now)
        of.in_hand = max(0, of.in_hand - settled)
        now += 0.02
    assert max(got.values()) - min(got.values()) <= 30
    assert polls <= sum(got.values()) / 5 + 6 * queues
