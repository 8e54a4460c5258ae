"""Which routing keys a binding takes, decided exactly as RabbitMQ decides it.

A key is a list of words with dots between them; empty words count (``a.`` is two words) and the empty key has none.
In the pattern of a topic binding ``*`` stands for exactly one word and ``#`` for any number of them, none included;
both are wildcards only as whole words.
https://www.rabbitmq.com/tutorials/amqp-concepts#exchange-topic
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

__all__ = ("ANY_WORD", "ANY_WORDS", "ExchangeType", "exchange_matches", "matches", "words")

ExchangeType: TypeAlias = Literal["direct", "topic", "fanout"]

#: Takes the place of exactly one word.
ANY_WORD: Final = "*"
#: Takes the place of any number of words, none included.
ANY_WORDS: Final = "#"


def words(key: str) -> list[str]:
    """Split a routing key or a pattern into its words; the empty key has none."""
    return key.split(".") if key else []


def matches(pattern: str, routing_key: str) -> bool:
    """Whether a topic binding with this pattern takes a message with this routing key.

    Costs at most the product of the two lengths in words, whatever the pattern.
    """
    key = words(routing_key)
    reached = {0}
    for word in words(pattern):
        reached = _step(word, key, reached)
        if not reached:
            return False
    return len(key) in reached


def _step(word: str, key: list[str], reached: set[int]) -> set[int]:
    """Say how many words of the key can be used up after one more word of the pattern."""
    if word == ANY_WORDS:
        return set(range(min(reached), len(key) + 1))
    return {used + 1 for used in reached if used < len(key) and word in (ANY_WORD, key[used])}


def exchange_matches(exchange_type: ExchangeType, binding_key: str, routing_key: str) -> bool:
    """Whether an exchange of this type routes this key to a queue bound with that one.

    Raises:
        ValueError: the type is none of direct, topic and fanout.
    """
    if exchange_type == "fanout":
        return True
    if exchange_type == "direct":
        return binding_key == routing_key
    if exchange_type == "topic":
        return matches(binding_key, routing_key)
    raise ValueError(f"an exchange of type {exchange_type!r} does not route: use direct, topic or fanout")
