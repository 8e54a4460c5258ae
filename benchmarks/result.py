"""What a benchmark found: figures with their units, and marks that were reached or not."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median
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
    """The figures of one benchmark, in the order they were found; the median of one that was found several times."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str, str], tuple[str, list[float]]] = {}

    def add(self, contender: str, condition: str, name: str, value: float, unit: str) -> None:
        """Take one in."""
        self._values.setdefault((contender, condition, name), (unit, []))[1].append(value)

    def value(self, contender: str, condition: str, name: str) -> float | None:
        """The number, None where it was not measured."""
        values = self._all(contender, condition, name)
        return median(values) if values else None

    def ratio(self, condition: str, name: str, ours: str, theirs: str) -> float | None:
        """Our number in units of theirs; None where one of the two is missing or theirs is nought.

        Of several it is the median of the ratios: what was measured one after the other is compared, since the machine
        is quicker at one time than at another.
        """
        pairs = zip(self._all(ours, condition, name), self._all(theirs, condition, name), strict=False)
        ratios = [mine / other for mine, other in pairs if other]
        return median(ratios) if ratios else None

    def _all(self, contender: str, condition: str, name: str) -> list[float]:
        return self._values.get((contender, condition, name), ("", []))[1]

    def __iter__(self) -> Iterator[Figure]:
        for (contender, condition, name), (unit, values) in self._values.items():
            yield Figure(contender, condition, name, median(values), unit)

    def __len__(self) -> int:
        return len(self._values)


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
