"""How much is done: a full run for figures, a quick one to see that all of it works."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Sizes:
    """Numbers of messages, queues and seconds.

    Attributes:
        rounds: how often what is repeated is measured.
        backlog: tasks a worker drains.
        publish: tasks a producer publishes in batches or groups in its turn.
        bulk_turns: how often it has its turn.
        publish_singly: tasks it publishes one by one in its turn.
        turns: how often that is.
        instructions: messages counted under an instrumented interpreter.
        idle_seconds: how long idle workers are watched.
        idle_wait: length of their polls in seconds, None: what each has by default.
        trials: messages published one by one to an idle consumer.
        gap: seconds between those.
        queues: queues one process consumes from.
        starving_backlog: messages in the one long queue beside short ones.
        single_file: messages through a window of one.
        memory: messages one worker is fed.
        scaling_messages: lengths of backlogs.
        scaling_queues: numbers of queues.
        scaling_tasks: messages spread over those.
    """

    rounds: int
    backlog: int
    publish: int
    bulk_turns: int
    publish_singly: int
    turns: int
    instructions: int
    idle_seconds: float
    idle_wait: int | None
    trials: int
    gap: float
    queues: int
    starving_backlog: int
    single_file: int
    memory: int
    scaling_messages: tuple[int, ...]
    scaling_queues: tuple[int, ...]
    scaling_tasks: int


FULL: Final = Sizes(
    rounds=5,
    backlog=5000,
    publish=2000,
    bulk_turns=10,
    publish_singly=17,
    turns=50,
    instructions=100,
    idle_seconds=60,
    idle_wait=None,
    trials=8,
    gap=2.0,
    queues=50,
    starving_backlog=100_000,
    single_file=100,
    memory=20_000,
    scaling_messages=(1000, 10_000, 100_000),
    scaling_queues=(1, 10, 100),
    scaling_tasks=2000,
)
QUICK: Final = Sizes(
    rounds=1,
    backlog=50,
    publish=40,
    bulk_turns=1,
    publish_singly=5,
    turns=2,
    instructions=10,
    idle_seconds=3,
    idle_wait=1,
    trials=2,
    gap=0.2,
    queues=3,
    starving_backlog=50,
    single_file=5,
    memory=100,
    scaling_messages=(20, 40),
    scaling_queues=(1, 3),
    scaling_tasks=20,
)
