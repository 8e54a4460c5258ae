"""One condition of a filter policy on the routing key: equal to a text, beginning with it, or ending in it.

https://docs.aws.amazon.com/sns/latest/dg/string-value-matching.html
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from kombu_sns_sqs.topology.patterns import words
from kombu_sns_sqs.topology.word_counts import Counts, any_from

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ("Operator", "Rule", "dotted", "parse_rule")


def dotted(key: Iterable[str]) -> str:
    """Write the words of a routing key with a dot before, between and after them."""
    return f".{'.'.join(key)}."


class Operator(Enum):
    """How the text of a rule relates to the attribute; the values are SNS's words, but for ``exact``."""

    EXACT = "exact"
    PREFIX = "prefix"
    SUFFIX = "suffix"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A condition on the routing key as :func:`dotted` writes it."""

    operator: Operator
    text: str

    def covers(self, other: Rule) -> bool:
        """Whether whatever fulfils the other fulfils this one as well."""
        if self.operator is Operator.EXACT or other.operator not in (self.operator, Operator.EXACT):
            return self == other
        if self.operator is Operator.SUFFIX:
            return other.text.endswith(self.text)
        return other.text.startswith(self.text)

    def possible_counts(self) -> Counts:
        """Give every count of words that a key fulfilling this can have."""
        count = len(words(self.text[1:-1]))
        return frozenset({count}) if self.operator is Operator.EXACT else any_from(count)

    def write(self) -> str | dict[str, str]:
        """Write the rule as SNS reads it."""
        return self.text if self.operator is Operator.EXACT else {self.operator.value: self.text}


def parse_rule(written: object) -> Rule | None:
    """Read a rule written by :meth:`Rule.write`; None for any other shape."""
    if isinstance(written, str):
        return Rule(operator=Operator.EXACT, text=written)
    if not isinstance(written, dict) or len(written) != 1:
        return None
    match written:
        case {"prefix": str(text)}:
            return Rule(operator=Operator.PREFIX, text=text)
        case {"suffix": str(text)}:
            return Rule(operator=Operator.SUFFIX, text=text)
    return None
