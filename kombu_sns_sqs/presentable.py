"""Options that can be shown: Celery's ``inspect stats`` sends those of the broker to whoever asks, as JSON.

JSON knows no functions, no sets and no objects. One among the options, such as a hook, would keep a worker from
answering at all. And whoever may ask a worker is not to learn its keys.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

__all__ = ("Veiled", "as_given", "presentable")

#: Options that hold keys, by whatever prefix, and what a password in a URL, that of a proxy, stands before.
_KEYS: Final = re.compile(r"access_key|secret|token|password", re.IGNORECASE)
_PASSWORD_IN_URL: Final = re.compile(r"://.*@")

#: As little as Celery shows of its own settings.
_MASK: Final = "********"
#: What JSON can write as it is.
_PLAIN: Final = (str, int, float, bool, type(None))


class Veiled:
    """An option of which JSON shows something else. Whoever reads the options takes it for what it is.

    Args:
        value: what was given.
        shown: what JSON shows; a key is not printed either.
    """

    __slots__ = ("shown", "value")

    def __init__(self, value: Any, shown: Any) -> None:
        self.value = value
        self.shown = shown

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Do what a function does: kombu has options that it calls itself."""
        return self.value(*args, **kwargs)

    def __json__(self) -> Any:
        """Give what is shown."""
        return self.shown

    def __repr__(self) -> str:
        # kombu tells its pools apart by this: another key is another connection. The hash is this process's own.
        return f"<Secret {hash(self.value):x}>" if self.shown == _MASK else repr(self.value)

    def __eq__(self, other: object) -> bool:
        return bool(self.value == (other.value if isinstance(other, Veiled) else other))

    def __hash__(self) -> int:
        return hash(self.value)


def presentable(options: Any, name: str = "") -> Any:
    """Veil what JSON does not know among options, and keys, nested ones included; ``name``: that of the option."""
    if isinstance(options, Veiled):
        return options
    if isinstance(options, str) and (_KEYS.search(name) or _PASSWORD_IN_URL.search(options)):
        return Veiled(options, _MASK)
    if isinstance(options, _PLAIN):
        return options
    if isinstance(options, Mapping) and all(isinstance(key, _PLAIN) for key in options):
        return {key: presentable(value, str(key)) for key, value in options.items()}
    if type(options) in {list, tuple}:
        return type(options)(presentable(value, name) for value in options)
    return Veiled(options, _described(options, name))


def as_given(options: Any) -> Any:
    """Give the options as they were before."""
    if isinstance(options, Mapping):
        return {name: as_given(value) for name, value in options.items()}
    if type(options) in {list, tuple}:
        return type(options)(as_given(value) for value in options)
    return options.value if isinstance(options, Veiled) else options


def _described(value: Any, name: str) -> Any:
    """Say what something is: the entries of a set, the dotted path of a function, or that of its class."""
    if isinstance(value, (set, frozenset)):
        return sorted((presentable(entry, name) for entry in value), key=repr)
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{named.__module__}.{named.__qualname__}"
