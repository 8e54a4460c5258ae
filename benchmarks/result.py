"""What a benchmark found: figures with their units, and marks that were reached or not."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

_COMPARISONS: Final = {">=": operator.ge, "<=": operator.le}


@dataclass(frozen=True)
class Figure:
    """One number.

    Attributes:
        contender: whose it is.
        condition: under what it was measured, ``15 ms`` or ``100 queues``; empty where there is only one.
        name: what it is, ``rate``.
        value: the number.
        unit: of the number, ``tasks/s``.
    """

    contender: str
    condition: str
    name: str
    value: float
    unit: str


@dataclass(frozen=True)
class Mark:
    """A ratio or a count to reach.

    Attributes:
        claim: what is asked, in words.
        value: what was found.
        comparison: ``>=`` or ``<=``.
        limit: what it is compared with.

    Raises:
        ValueError: the comparison is neither.
    """

    claim: str
    value: float
    comparison: str
    limit: float

    def __post_init__(self) -> None:
        if self.comparison not in _COMPARISONS:
            raise ValueError(f"{self.comparison!r} is not one of {sorted(_COMPARISONS)}")

    @property
    def met(self) -> bool:
        """Whether it was reached."""
        return bool(_COMPARISONS[self.comparison](self.value, self.limit))


class Figures:
    """The figures of one benchmark, in the order they were found."""

    def __init__(self, figures: Iterable[Figure] = ()) -> None:
        self._figures = list(figures)

    def add(self, contender: str, condition: str, name: str, value: float, unit: str) -> None:
        """Take one in."""
        self._figures.append(Figure(contender, condition, name, value, unit))

    def value(self, contender: str, condition: str, name: str) -> float | None:
        """The number, None where it was not measured."""
        for figure in self._figures:
            if (figure.contender, figure.condition, figure.name) == (contender, condition, name):
                return figure.value
        return None

    def ratio(self, condition: str, name: str, ours: str, theirs: str) -> float | None:
        """Our number in units of theirs; None where one of the two is missing or theirs is nought."""
        mine, other = self.value(ours, condition, name), self.value(theirs, condition, name)
        return mine / other if mine is not None and other else None

    def __iter__(self) -> Iterator[Figure]:
        return iter(self._figures)

    def __len__(self) -> int:
        return len(self._figures)


@dataclass(frozen=True)
class Result:
    """What one benchmark found.

    Attributes:
        benchmark: its name.
        title: what it measures, in words.
        figures: all its numbers.
        marks: what they are held against; those that lack a number are not in it.
        failures: contenders that did not come through, and why.
        seconds: how long it took.
    """

    benchmark: str
    title: str
    figures: Figures
    marks: tuple[Mark, ...] = ()
    failures: tuple[str, ...] = field(default=())
    seconds: float = 0.0


def marks_of(*candidates: tuple[str, float | None, str, float]) -> tuple[Mark, ...]:
    """Make marks of those whose value was measured."""
    return tuple(
        Mark(claim, value, comparison, limit) for claim, value, comparison, limit in candidates if value is not None
    )
