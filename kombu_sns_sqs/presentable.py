"""Options that can be shown: Celery's ``inspect stats`` sends those of the broker to whoever asks, as JSON.

JSON knows no functions. One among the options, such as a hook, would keep a worker from answering at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ("NamedFunction", "as_given", "presentable")


class NamedFunction:
    """A function, or whatever can be called, that JSON shows by its name. Does what the function does.

    Args:
        function: what was given.
    """

    __slots__ = ("function",)

    def __init__(self, function: Any) -> None:
        self.function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Do what the function does: kombu has options that it calls itself."""
        return self.function(*args, **kwargs)

    def __json__(self) -> str:
        """Give its dotted path, or that of its class where it is an object."""
        named = self.function if hasattr(self.function, "__qualname__") else type(self.function)
        return f"{named.__module__}.{named.__qualname__}"

    def __repr__(self) -> str:
        # The same as before: kombu tells its pools apart by this.
        return repr(self.function)

    def __eq__(self, other: object) -> bool:
        return bool(self.function == (other.function if isinstance(other, NamedFunction) else other))

    def __hash__(self) -> int:
        return hash(self.function)


def presentable(options: Any) -> Any:
    """Put names to the functions among options, nested ones included."""
    if isinstance(options, Mapping):
        return {name: presentable(value) for name, value in options.items()}
    return NamedFunction(options) if callable(options) and not isinstance(options, NamedFunction) else options


def as_given(options: Any) -> Any:
    """Give the options as they were before."""
    if isinstance(options, Mapping):
        return {name: as_given(value) for name, value in options.items()}
    return options.function if isinstance(options, NamedFunction) else options
