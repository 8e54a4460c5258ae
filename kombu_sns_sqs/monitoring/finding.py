"""Which hooks the option ``hooks`` means: an object, a class, a dotted path, or the name of an adapter."""

from __future__ import annotations

import os
import threading
from typing import Any, Final

from kombu.utils.imports import symbol_by_name

from kombu_sns_sqs.errors import OptionsError
from kombu_sns_sqs.monitoring.hooks import Hooks

__all__ = ("ADAPTERS", "hooks_of")

#: The adapters by their names, which are also those of the extras that bring what they need.
ADAPTERS: Final = {
    "opentelemetry": "kombu_sns_sqs.monitoring.opentelemetry:OpenTelemetryHooks",
    "prometheus": "kombu_sns_sqs.monitoring.prometheus:PrometheusHooks",
}

#: One object for each class: options are read for every connection, and a metric can be made once.
_made: dict[type[Hooks], Hooks] = {}
_lock = threading.Lock()


def hooks_of(name: str, value: Any) -> Hooks:
    """Find the hooks that an option means, importing what has to be; a class is made an object of, once a process.

    Args:
        name: of the option, for errors.
        value: what it was given.

    Raises:
        OptionsError: it is none, or cannot be imported or made.
    """
    found = value
    if isinstance(value, str):
        try:
            found = symbol_by_name(value, ADAPTERS)
        except (ImportError, AttributeError, ValueError) as exc:
            extra = f": install kombu-sns-sqs with its extra {value!r}" if value in ADAPTERS else ""
            raise OptionsError(f"{name} is {value!r}, which cannot be imported: {exc}{extra}") from exc
    if isinstance(found, type) and issubclass(found, Hooks):
        found = _object_of(name, found)
    if not isinstance(found, Hooks):
        raise OptionsError(
            f"{name} is {value!r}: it must be an object of a subclass of kombu_sns_sqs.Hooks, such a class, the dotted"
            f" path of either, or one of {', '.join(map(repr, ADAPTERS))}"
        )
    if type(found).__hash__ is None:
        raise OptionsError(f"{name} is a {type(found).__name__}, which has no hash: define __hash__ beside __eq__")
    return found


def _object_of(name: str, cls: type[Hooks]) -> Hooks:
    with _lock:
        if cls not in _made:
            try:
                _made[cls] = cls()
            except Exception as exc:
                raise OptionsError(f"{name}: {cls.__name__} could not be made: {exc}") from exc
        return _made[cls]


def _fresh_lock() -> None:
    """Begin anew in a forked child: another thread of the parent may have held the lock."""
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_fresh_lock)
