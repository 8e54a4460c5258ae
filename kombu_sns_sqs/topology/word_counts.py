"""How many words a routing key may have: sets of counts, and the conditions of a filter policy that state them.

A routing key has at most 255 bytes, so at most 256 words: every set is finite, and "that many or more" is one of them.
https://docs.aws.amazon.com/sns/latest/dg/numeric-value-matching.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from kombu_sns_sqs import quotas

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ("MAX_WORDS", "Counts", "NumericRule", "any_from", "parse_counts", "write_counts")

#: Words of the longest routing key, all of them empty.
MAX_WORDS: Final = quotas.MAX_SHORT_STRING + 1

Counts: TypeAlias = frozenset[int]

#: One condition, such as ``{"numeric": [">=", 2, "<=", 4]}``.
NumericRule: TypeAlias = dict[str, list[str | int]]


def any_from(minimum: int) -> Counts:
    """Give all counts from the minimum on."""
    return frozenset(range(minimum, MAX_WORDS + 1))


def write_counts(counts: Counts) -> list[NumericRule]:
    """Write a set as conditions, one for each run of adjacent counts, in ascending order."""
    starts = sorted(count for count in counts if count - 1 not in counts)
    ends = sorted(count for count in counts if count + 1 not in counts)
    return [{"numeric": _condition(first, last)} for first, last in zip(starts, ends, strict=True)]


def _condition(first: int, last: int) -> list[str | int]:
    if last == MAX_WORDS:
        return [">=", first]
    if first == last:
        return ["=", first]
    return [">=", first, "<=", last]


def parse_counts(conditions: Sequence[object]) -> Counts | None:
    """Read conditions written by :func:`write_counts`; None if any is of another shape."""
    counts: Counts = frozenset()
    for condition in conditions:
        run = _parse_run(condition)
        if run is None:
            return None
        counts |= run
    return counts


def _parse_run(condition: object) -> Counts | None:
    if not isinstance(condition, dict) or list(condition) != ["numeric"]:
        return None
    match condition["numeric"]:
        case ["=", int(count)]:
            return any_from(count) - any_from(count + 1)
        case [">=", int(first)]:
            return any_from(first)
        case [">=", int(first), "<=", int(last)]:
            return any_from(first) - any_from(last + 1)
    return None
