r"""Filter policies compiled from binding keys: wider than the bindings where need be, narrower never.

Every message published to a topic carries two attributes for the filters, :data:`ROUTING_KEY` and
:data:`WORD_COUNT`, and its priority where it has one (:mod:`kombu_sns_sqs.topology.levels`). The routing key has a dot
added at both ends, so that it is never empty and a whole word can be told from a part of one: ``a.#`` is the prefix
``.a.``, ``#.b`` the suffix ``.b.``. The count of words tells ``a.*`` from ``a.#``.

One key of a policy cannot state two conditions that must both hold, so ``a.*.c`` becomes its longer literal end and
its count. ``$or`` could keep the counts of several patterns apart, and is not used: how it counts towards the 150
combinations is not documented, and wherever SNS does not recognise it, it is the name of an attribute that no message
has, and everything would be withheld.

* https://docs.aws.amazon.com/sns/latest/dg/and-or-logic.html
* https://docs.aws.amazon.com/sns/latest/dg/subscription-filter-policy-constraints.html: combinations are the product
  of the lengths of the lists; ``"`` and ``\`` have to be escaped twice.
* https://docs.aws.amazon.com/sns/latest/dg/string-value-matching.html
* https://docs.aws.amazon.com/sns/latest/dg/numeric-value-matching.html
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from kombu_sns_sqs import quotas
from kombu_sns_sqs.addressing import check_short_string
from kombu_sns_sqs.topology.levels import PRIORITY, Share
from kombu_sns_sqs.topology.patterns import ANY_WORD, ANY_WORDS, words
from kombu_sns_sqs.topology.rules import Operator, Rule, dotted, parse_rule
from kombu_sns_sqs.topology.word_counts import Counts, any_from, parse_counts, write_counts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = (
    "ROUTING_KEY",
    "WORD_COUNT",
    "BoundKey",
    "Policy",
    "compile_policy",
    "policy_covers",
    "routing_attributes",
    "share_policy",
)

#: Message attribute (String): the routing key between two dots.
ROUTING_KEY: Final = "rk"
#: Message attribute (Number): how many words the routing key has.
WORD_COUNT: Final = "n"

#: A word whose spelling in a policy is beyond doubt. Whatever else there is stands in for any word at all.
_PLAIN_WORD: Final = re.compile(r'[^"\\\x00-\x1f\x7f-\U0010ffff]*')


class _Wild(Enum):
    WORD = ANY_WORD
    WORDS = ANY_WORDS


@dataclass(frozen=True, slots=True, kw_only=True)
class _Need:
    """What one binding asks of a policy; ``exact`` where the two conditions say no more than the binding does."""

    rule: Rule | None
    counts: Counts
    exact: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A filter policy on the two attributes: a rule must hold where there are any, and a count where there are any.

    ``share`` is the level's, for a queue with priorities: with it, the priority has to be the level's own as well.
    ``exact`` says that no message passes but those the bindings take; a policy that is not exact lets more pass.
    """

    rules: tuple[Rule, ...] = ()
    counts: Counts | None = None
    exact: bool = False
    share: Share | None = None

    @property
    def json(self) -> str:
        """The policy as SNS takes it, the same text for the same policy always."""
        written = {key: conditions for key, conditions in self._conditions().items() if conditions}
        return json.dumps(written, separators=(",", ":"), sort_keys=True)

    @property
    def combinations(self) -> int:
        """What SNS counts towards its limit of 150."""
        return math.prod(max(1, len(conditions)) for conditions in self._conditions().values())

    def fits(self) -> bool:
        """Whether SNS accepts the policy."""
        return self.combinations <= quotas.MAX_FILTER_COMBINATIONS and len(self.json) <= quotas.MAX_FILTER_BYTES

    def _conditions(self) -> dict[str, Sequence[object]]:
        return {
            ROUTING_KEY: [rule.write() for rule in self.rules],
            WORD_COUNT: [] if self.counts is None else write_counts(self.counts),
            PRIORITY: [] if self.share is None else self.share.conditions,
        }


#: The type of the exchange, and the binding key; None for a key that is not known.
BoundKey: TypeAlias = tuple[str, str | None]


def routing_attributes(routing_key: str) -> dict[str, dict[str, str]]:
    """Give the message attributes that a publish with this routing key carries for the filters.

    Raises:
        AddressingError: the key is over 255 bytes, or AWS does not carry one of its characters.
    """
    check_short_string(routing_key, what="routing key", empty=True)
    return {
        ROUTING_KEY: {"DataType": "String", "StringValue": dotted(words(routing_key))},
        WORD_COUNT: {"DataType": "Number", "StringValue": str(len(words(routing_key)))},
    }


def published_with(attributes: Mapping[str, Mapping[str, Any]]) -> str:
    """Give the routing key that :func:`routing_attributes` were made of."""
    return str(attributes[ROUTING_KEY]["StringValue"])[1:-1]


def compile_policy(bindings: Iterable[BoundKey], share: Share | None = None) -> Policy | None:
    """Compile the narrowest policy at hand that lets everything pass that a binding takes.

    Args:
        bindings: the type of the exchange and the binding key, for every binding of one queue to one topic; a key of
            None is one that is not known.
        share: of the level the policy is for; None for a queue without priorities.

    Returns:
        None where no filter can be set: a fanout exchange or one of another type, ``#``, an unknown key, no bindings
        at all, or more than the limits of a policy hold. An upper level always has one, on its share.
    """
    needs = [_need(exchange_type, key) for exchange_type, key in bindings]
    known = [need for need in needs if need is not None]
    candidates = _candidates(known) if known and len(known) == len(needs) else ()
    shared = (replace(policy, share=share) for policy in candidates)
    return next((policy for policy in shared if policy.fits()), share_policy(share))


def share_policy(share: Share | None) -> Policy | None:
    """Give the policy on the share of a level alone; None for the lowest, which takes what has no attributes, too."""
    return Policy(share=share) if share is not None and share.level else None


def policy_covers(policy_json: str | None, bindings: Iterable[BoundKey], share: Share | None = None) -> bool:
    """Whether a policy as AWS gives it back surely lets everything pass that these bindings take.

    No policy covers everything. One that is not of the shapes made here, whoever wrote it, counts as covering
    nothing. The scope of the filter has to be ``MessageAttributes``, which is for the caller to see.
    """
    if not policy_json:
        return True
    policy = _parse(policy_json, share)
    if policy is None:
        return False
    if policy == share_policy(share):
        return True
    needs = [_need(exchange_type, key) for exchange_type, key in bindings]
    return all(need is not None and _covers(policy, need) for need in needs)


# -- one binding --------------------------------------------------------------------------------------------


def _need(exchange_type: str, key: str | None) -> _Need | None:
    """Say what a binding asks of a policy; None where it takes everything, or may."""
    if key is None or exchange_type not in ("direct", "topic"):
        return None
    tokens = [_token(word, wild=exchange_type == "topic") for word in words(key)]
    doubtful = any(token is _Wild.WORD and word != ANY_WORD for token, word in zip(tokens, words(key), strict=True))
    minimum = sum(token is not _Wild.WORDS for token in tokens)
    counts = any_from(minimum) if _Wild.WORDS in tokens else frozenset({minimum})
    rule, used = _rule(tokens)
    if rule is None and counts == any_from(0):
        return None
    literals = sum(isinstance(token, str) for token in tokens)
    return _Need(rule=rule, counts=counts, exact=used == literals and not doubtful)


def _token(word: str, *, wild: bool) -> str | _Wild:
    if wild and word in (ANY_WORD, ANY_WORDS):
        return _Wild(word)
    return word if _PLAIN_WORD.fullmatch(word) else _Wild.WORD


def _rule(tokens: Sequence[str | _Wild]) -> tuple[Rule | None, int]:
    """Find the literal condition of a pattern, and how many of its words that uses."""
    head, tail = _leading(tokens), _leading(tokens[::-1])[::-1]
    if len(head) == len(tokens):
        return Rule(operator=Operator.EXACT, text=dotted(head)), len(head)
    if not (head or tail):
        return None, 0
    if len(".".join(tail)) > len(".".join(head)) or not head:
        return Rule(operator=Operator.SUFFIX, text=dotted(tail)), len(tail)
    return Rule(operator=Operator.PREFIX, text=dotted(head)), len(head)


def _leading(tokens: Sequence[str | _Wild]) -> list[str]:
    literal: list[str] = []
    for token in tokens:
        if not isinstance(token, str):
            break
        literal.append(token)
    return literal


# -- all bindings together ----------------------------------------------------------------------------------


def _candidates(needs: Sequence[_Need]) -> Iterable[Policy]:
    """List the policies that cover all the needs, the narrowest first, then what is left when one key is too long."""
    rules = _merge([need.rule for need in needs])
    counts = _asked(needs)
    both = Policy(rules=rules, counts=counts)
    if all(rule.possible_counts() <= counts for rule in rules):
        both = Policy(rules=rules)  # the counts would state nothing that the rules do not
    for policy in (both, Policy(rules=rules), Policy(counts=counts)):
        if policy.rules or policy.counts not in (None, any_from(0)):
            yield replace(policy, exact=_is_exact(policy, needs))


def _merge(rules: Iterable[Rule | None]) -> tuple[Rule, ...]:
    """Sort the rules and leave out what another covers; nothing at all where one binding has no rule."""
    distinct = set(rules)
    kept = {rule for rule in distinct if rule and not any(o != rule and o and o.covers(rule) for o in distinct)}
    return () if None in distinct else tuple(sorted(kept, key=lambda rule: (rule.operator.value, rule.text)))


def _is_exact(policy: Policy, needs: Sequence[_Need]) -> bool:
    """Whether no binding's rule lets pass a count of words that only another binding asks for."""
    if not all(need.exact for need in needs):
        return False
    allowed = any_from(0) if policy.counts is None else policy.counts
    if not policy.rules:
        return allowed == _asked(need for need in needs if need.rule is None)
    return all(rule.possible_counts() & allowed <= _asked(_within(needs, rule)) for rule in policy.rules)


def _asked(needs: Iterable[_Need]) -> Counts:
    """Unite the counts that bindings ask for."""
    return frozenset().union(*(need.counts for need in needs))


def _within(needs: Iterable[_Need], rule: Rule) -> list[_Need]:
    """Keep the bindings that take every key the rule lets pass, if the count is right."""
    return [need for need in needs if need.rule and need.rule.covers(rule)]


def _covers(policy: Policy, need: _Need) -> bool:
    rule = need.rule
    if policy.rules and not (rule and any(given.covers(rule) for given in policy.rules)):
        return False
    return policy.counts is None or need.counts <= policy.counts


# -- reading a policy back ----------------------------------------------------------------------------------


def _parse(policy_json: str, share: Share | None) -> Policy | None:
    """Read a policy of the shapes written here, for this level or for a queue without; None for any other."""
    try:
        written = json.loads(policy_json)
    except ValueError:
        return None
    if not isinstance(written, dict) or not written.keys() <= {ROUTING_KEY, WORD_COUNT, PRIORITY}:
        return None
    if not all(isinstance(conditions, list) and conditions for conditions in written.values()):
        return None
    shared = written.get(PRIORITY)
    if shared is not None and (share is None or shared != share.conditions):
        return None
    rules = [parse_rule(rule) for rule in written.get(ROUTING_KEY, ())]
    counts = parse_counts(written[WORD_COUNT]) if WORD_COUNT in written else None
    if None in rules or (counts is None and WORD_COUNT in written):
        return None
    return Policy(rules=tuple(rule for rule in rules if rule), counts=counts, share=share if shared else None)
