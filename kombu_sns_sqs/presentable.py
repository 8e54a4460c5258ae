"""Options that can be shown: Celery's ``inspect stats`` sends those of the broker to whoever asks, as JSON.

JSON knows no functions. One among the options, such as a hook, would keep a worker from answering at all. And whoever
may ask a worker is not to learn its keys.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

__all__ = ("NamedFunction", "Secret", "as_given", "presentable")

#: Options that hold keys, by whatever prefix, and what a password in a URL, that of a proxy, stands between.
_KEYS: Final = re.compile(r"access_key|secret|token|password", re.IGNORECASE)
_PASSWORD_IN_URL: Final = re.compile(r"://[^/@]*:[^/@]+@")


class Secret:
    """A key among the options, which is neither shown nor printed.

    Args:
        value: the key.
    """

    __slots__ = ("value",)

    def __init__(self, value: str) -> None:
        self.value = value

    def __json__(self) -> str:
        """Give as little as Celery shows of its own settings."""
        return "********"

    def __repr__(self) -> str:
        # kombu tells its pools apart by this: another key is another connection. The hash is this process's own.
        return f"<Secret {hash(self.value):x}>"

    def __eq__(self, other: object) -> bool:
        return bool(self.value == (other.value if isinstance(other, Secret) else other))

    def __hash__(self) -> int:
        return hash(self.value)


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


def presentable(options: Any, name: str = "") -> Any:
    """Put names to the functions among options, and hide the keys, nested ones included."""
    if isinstance(options, Mapping):
        return {key: presentable(value, str(key)) for key, value in options.items()}
    if isinstance(options, str) and (_KEYS.search(name) or _PASSWORD_IN_URL.search(options)):
        return Secret(options)
    return NamedFunction(options) if callable(options) and not isinstance(options, NamedFunction) else options


def as_given(options: Any) -> Any:
    """Give the options as they were before."""
    if isinstance(options, Mapping):
        return {name: as_given(value) for name, value in options.items()}
    if isinstance(options, Secret):
        return options.value
    return options.function if isinstance(options, NamedFunction) else options
