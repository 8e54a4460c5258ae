"""Retry back-off: how long a message that is given back stays away, by how often it has been received. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from kombu_sns_sqs import quotas
from kombu_sns_sqs.errors import OptionsError

if TYPE_CHECKING:
    from kombu_sns_sqs.messages import Delivery

#: Of a receive count (1 for the first) and the delivery: seconds.
BackoffFunction = Callable[[int, "Delivery"], float]


@dataclass(frozen=True, slots=True)
class BackoffTable:
    """Seconds by receive count, as in kombu's sqs; past its end the last row holds.

    Args:
        rows: (receive count from 1, seconds from 0 to 43,200), in order.
    """

    rows: tuple[tuple[int, float], ...]

    def __post_init__(self) -> None:
        """Refuse what SQS would."""
        for count, seconds in self.rows:
            if count < 1 or not 0 <= seconds <= quotas.MAX_VISIBILITY_SECONDS:
                raise OptionsError(
                    f"backoff_policy has {count}: {seconds}: it maps receive counts from 1 to seconds from 0 to"
                    f" {quotas.MAX_VISIBILITY_SECONDS}"
                )

    def ceiling(self, receive_count: int) -> float:
        """Give the seconds of the last row that has been reached, 0 before the first."""
        return max(((count, seconds) for count, seconds in self.rows if count <= receive_count), default=(0, 0.0))[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExponentialBackoff:
    """``base * factor ** (receive_count - 1)`` seconds, at most ``cap``.

    Args:
        base: seconds after the first receive, above 0.
        factor: what each further one multiplies them by, at least 1.
        cap: seconds at most, 43,200 at most.
        jitter: whether the wait is a random part of that ("full jitter"), so that what failed together does not come
            back together. https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """

    base: float = 1.0
    factor: float = 2.0
    cap: float = 600.0
    jitter: bool = True

    def __post_init__(self) -> None:
        """Refuse what would never wait, or longer than SQS lets a message wait."""
        if not (0 < self.base <= self.cap <= quotas.MAX_VISIBILITY_SECONDS and self.factor >= 1):
            raise OptionsError(
                f"backoff_policy has base {self.base}, factor {self.factor}, cap {self.cap}: 0 < base <= cap <="
                f" {quotas.MAX_VISIBILITY_SECONDS} and factor >= 1 are needed"
            )

    def ceiling(self, receive_count: int) -> float:
        """Give the seconds without jitter."""
        try:
            return min(self.cap, self.base * self.factor ** (receive_count - 1))
        except OverflowError:
            return self.cap


BackoffPolicy = BackoffTable | ExponentialBackoff | BackoffFunction


def read_backoff_policy(name: str, value: Any) -> BackoffPolicy:
    """Read an option: a table, the fields of an exponential back-off, ``"exponential"``, or a callable.

    Raises:
        OptionsError: it is none of them, or a number is out of its range.
    """
    if value == "exponential":
        return ExponentialBackoff()
    if isinstance(value, Mapping) and value and all(isinstance(key, int) or str(key).isdigit() for key in value):
        return BackoffTable(tuple(sorted((int(key), _seconds(name, seconds)) for key, seconds in value.items())))
    if isinstance(value, Mapping) and value and value.keys() <= {field.name for field in fields(ExponentialBackoff)}:
        numbers = {key: _seconds(name, number) for key, number in value.items() if key != "jitter"}
        return ExponentialBackoff(**numbers, jitter=bool(value.get("jitter", True)))
    if callable(value):
        function: BackoffFunction = value
        return function
    raise OptionsError(
        f"{name} is {value!r}: it must be a table {{receive count: seconds}}, {{'base': …, 'factor': …, 'cap': …,"
        " 'jitter': …}, 'exponential', or a callable of receive count and delivery"
    )


def _seconds(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise OptionsError(f"{name} has {value!r} where a number of seconds belongs")
    return float(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """Which messages of a queue are retried with back-off.

    Args:
        policy: how long they stay away; None: not at all.
        tasks: the Celery tasks it is for; empty: all messages.
    """

    policy: BackoffPolicy | None = None
    tasks: frozenset[str] = frozenset()

    def concern(self, delivery: Delivery) -> bool:
        """Whether the policy is for a message."""
        return self.policy is not None and (not self.tasks or delivery.content.headers.get("task") in self.tasks)

    def instead_of_rejecting(self, delivery: Delivery) -> bool:
        """Whether a message is retried although it was rejected for good: so kombu's sqs has it for listed tasks."""
        return self.lists(delivery.content.headers.get("task"))

    def lists(self, task: str | None) -> bool:
        """Whether a task is one of those that are retried whatever becomes of them."""
        return self.policy is not None and task in self.tasks

    def delay(self, delivery: Delivery, chance: Callable[[], float]) -> int:
        """Give the seconds a message stays away that is given back, 0 to 43,200.

        ``chance`` gives a number of [0, 1). Raises what a callable policy raises.
        """
        if self.policy is None or not self.concern(delivery):
            return 0
        if isinstance(self.policy, BackoffTable):
            seconds = self.policy.ceiling(delivery.receive_count)
        elif isinstance(self.policy, ExponentialBackoff):
            seconds = self.policy.ceiling(delivery.receive_count) * (chance() if self.policy.jitter else 1.0)
        else:
            seconds = float(self.policy(delivery.receive_count, delivery))
        return round(max(0.0, min(seconds, quotas.MAX_VISIBILITY_SECONDS)))
