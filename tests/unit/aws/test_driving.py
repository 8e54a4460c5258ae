"""The drivers: what they watch, what they forget, and what wakes them."""

from __future__ import annotations

import os
import socket
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest
from kombu.asynchronous import Hub

from kombu_sns_sqs.aws.driving import IN, OUT, HubDriver, SelectorDriver, Waker
from tests.unit.aws.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator


class Notes:
    """A hub driver that notes what it is told."""

    def __init__(self, hub: Hub) -> None:
        self.waker = Waker()
        self.ready: list[tuple[int, int]] = []
        self.told: list[str] = []
        self.driver = HubDriver(
            hub=hub,
            waker=self.waker,
            on_ready=lambda fd, events: self.ready.append((fd, events)),
            on_wake=lambda: self.told.append("woken"),
            on_due=lambda: self.told.append("due"),
            on_close=lambda: self.told.append("closed"),
        )


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A loop of kombu's."""
    hub = Hub()
    yield hub
    hub.close()


@pytest.fixture
def notes(hub: Hub) -> Iterator[Notes]:
    """A driver on that loop."""
    notes = Notes(hub)
    yield notes
    notes.waker.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of a connection."""
    near, far = socket.socketpair()
    yield near, far
    near.close()
    far.close()


@pytest.fixture
def selector() -> Iterator[tuple[SelectorDriver, Waker]]:
    """A selector and what wakes it."""
    waker = Waker()
    driver = SelectorDriver(waker)
    yield driver, waker
    driver.close()
    waker.close()


def test_many_nudges_wake_once_and_the_next_wakes_again(selector: tuple[SelectorDriver, Waker]) -> None:
    """One byte waits, however many threads nudge."""
    driver, waker = selector
    for _ in range(3):
        for _ in range(100_000):
            waker.nudge()
        began = monotonic()
        assert driver.wait(30) == []
        assert monotonic() - began < 10
        began = monotonic()
        assert driver.wait(0) == []


def test_a_closed_waker_is_nudged_in_vain(selector: tuple[SelectorDriver, Waker]) -> None:
    """Threads may be late."""
    waker = Waker()
    waker.close()
    waker.nudge()
    waker.drain()


def test_a_selector_tells_which_way_is_ready(selector: tuple[SelectorDriver, Waker], pair: Any) -> None:
    """In, out, or both."""
    driver, _ = selector
    near, far = pair
    fd = near.fileno()
    driver.watch(fd, IN)
    assert driver.wait(0) == []
    far.send(b"x")
    assert driver.wait(1) == [(fd, IN)]
    driver.forget(fd)
    driver.watch(fd, IN | OUT)
    assert driver.wait(1) == [(fd, IN | OUT)]


def test_a_descriptor_closed_and_opened_again_is_watched_anew(selector: tuple[SelectorDriver, Waker]) -> None:
    """The kernel forgets what is closed, and the number comes back as another connection."""
    driver, _ = selector
    (near, far), (again, other) = socket.socketpair(), socket.socketpair()
    with far, again, other:
        number = near.detach()
        driver.watch(number, IN)
        # In one step: the old connection is closed, and its number is the new one's.
        os.dup2(again.fileno(), number)
        try:
            driver.forget(number)
            driver.watch(number, IN)
            other.send(b"x")
            assert driver.wait(1) == [(number, IN)]
        finally:
            driver.forget(number)
            os.close(number)


def test_what_was_never_watched_can_be_forgotten(selector: tuple[SelectorDriver, Waker], notes: Notes) -> None:
    """By either driver."""
    selector[0].forget(987)
    notes.driver.forget(987)


def test_a_hub_tells_which_way_is_ready(hub: Hub, notes: Notes, pair: Any) -> None:
    """A connection that is watched both ways, too, which the poller under the hub takes in one go only."""
    near, far = pair
    fd = near.fileno()
    notes.driver.watch(fd, IN | OUT)
    until(lambda: notes.ready, hub.run_once)
    assert set(notes.ready) == {(fd, OUT)}
    notes.ready.clear()
    far.send(b"x")
    until(lambda: notes.ready, hub.run_once)
    assert (fd, IN) in notes.ready
    notes.driver.forget(fd)
    notes.driver.watch(fd, OUT)
    notes.ready.clear()
    until(lambda: notes.ready, hub.run_once)
    assert notes.ready == [(fd, OUT)]


def test_forgetting_leaves_nothing_in_the_hub(hub: Hub, notes: Notes, pair: Any) -> None:
    """Though the descriptor is closed already."""
    near, _ = pair
    fd = near.fileno()
    notes.driver.watch(fd, IN | OUT)
    near.close()
    notes.driver.forget(fd)
    assert fd not in hub.readers
    assert fd not in hub.writers


def test_only_the_nearest_deadline_has_a_timer(hub: Hub, notes: Notes) -> None:
    """Thousands of requests move it; the hub's heap does not grow by them."""
    now = monotonic()
    notes.driver.schedule(now + 1000)
    for later in range(5000):
        notes.driver.schedule(now + 1001 + later)
    assert len(hub.timer._queue) == 1
    notes.driver.schedule(now)
    until(lambda: notes.told, hub.run_once)
    assert notes.told == ["due"]


def test_a_closed_hub_is_told_about_once(hub: Hub, notes: Notes) -> None:
    """And its timer, which outlives a reset, rings no more."""
    notes.driver.schedule(monotonic())
    hub.reset()
    hub.reset()
    hub._loop = None
    hub.call_later(0, notes.told.append, "rang")
    until(lambda: "rang" in notes.told, hub.run_once)
    assert notes.told == ["closed", "rang"]


def test_a_nudge_wakes_the_hub(hub: Hub, notes: Notes) -> None:
    """From any thread, every time."""
    for times in (1, 2, 3):
        notes.waker.nudge()
        until(lambda times=times: len(notes.told) == times, hub.run_once)  # type: ignore[misc]
