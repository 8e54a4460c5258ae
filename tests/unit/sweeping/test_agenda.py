"""What is read next, where more is due than can be read."""

from __future__ import annotations

from kombu_sns_sqs.sweeping.agenda import Agenda


def test_what_was_due_first_comes_first() -> None:
    """However it was put in; what is not due does not come."""
    agenda = Agenda(patience=10)
    for name, at in (("c", 3.0), ("a", 1.0), ("d", 9.0), ("b", 2.0)):
        agenda.plan(name, at)
    assert [agenda.take(5.0) for _ in range(4)] == ["a", "b", "c", None]
    assert agenda.take(9.0) == "d"


def test_what_can_wait_comes_when_nothing_is_due() -> None:
    """Those that have waited for longest first."""
    agenda = Agenda(patience=10)
    for name in ("y", "x"):
        agenda.can_wait(name, 0.0)
    agenda.plan("a", 1.0)
    agenda.plan("b", 2.0)
    assert [agenda.take(1.0) for _ in range(4)] == ["a", "y", "x", None]


def test_what_can_wait_has_its_turn_though_there_is_always_something_due() -> None:
    """Of a thousand that want to be read every ten seconds three a second are; the others have waited no less."""
    agenda = Agenda(patience=10)
    for number in range(1000):
        agenda.plan(f"q{number}", 0.0)
    for name in ("x", "y"):
        agenda.can_wait(name, 0.0)
    read: list[str | None] = []
    for moment in range(400):
        for _ in range(3):
            read.append(agenda.take(float(moment)))
            agenda.plan(str(read[-1]), moment + 10.0)
    assert None not in read
    assert set(read) == {f"q{number}" for number in range(1000)} | {"x", "y"}


def test_what_is_planned_anew_comes_at_the_new_time_and_once() -> None:
    """Earlier or later."""
    agenda = Agenda(patience=10)
    agenda.plan("a", 5.0)
    agenda.plan("a", 1.0)
    agenda.plan("b", 1.0)
    agenda.plan("b", 5.0)
    assert [agenda.take(2.0) for _ in range(2)] == ["a", None]
    assert [agenda.take(5.0) for _ in range(2)] == ["b", None]


def test_what_is_dropped_does_not_come() -> None:
    """Planned or waiting; what was never there is no error."""
    agenda = Agenda(patience=10)
    agenda.plan("a", 1.0)
    agenda.can_wait("x", 0.0)
    for name in ("a", "x", "z"):
        agenda.drop(name)
    assert agenda.take(100.0) is None
