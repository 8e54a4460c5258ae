"""Reading the broker URL and ``broker_transport_options`` into :class:`~kombu_sns_sqs.options.Options`.

Kombu's ``sqs://`` names are taken with their meaning, so that moving over is a change of scheme. An unknown name is
an error that offers the nearest one: a misspelt option must not look like an option that has no effect.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any, Final
from urllib.parse import unquote

from kombu.utils.imports import symbol_by_name

from kombu_sns_sqs import logs
from kombu_sns_sqs.backoff import read_backoff_policy
from kombu_sns_sqs.broker_url import BrokerURL
from kombu_sns_sqs.errors import OptionsError
from kombu_sns_sqs.identity import Identity
from kombu_sns_sqs.monitoring.finding import hooks_of
from kombu_sns_sqs.options import Options, PredefinedExchange, PredefinedQueue, Settings

logger = logging.getLogger(__name__)

#: Kombu's own, read by ``Connection`` and by ``Producer.publish(retry=True)``: not ours to judge.
_KOMBU_KEYS: Final = frozenset(
    {
        "callback",
        "client_properties",
        "confirm_publish",
        "confirm_timeout",
        "connect_retries_timeout",
        "errback",
        "interval_max",
        "interval_start",
        "interval_step",
        "max_retries",
        "on_revive",
        "retry_errors",
    }
)

#: Options of ``sqs://`` that have nothing left to do here, and why.
_NEEDLESS: Final[dict[str, str]] = {
    "polling_interval": "there is no pause between polls: an ack or a message wakes the next one",
    "supports_fanout": "fanout exchanges always work",
    "sqs_base64_encoding": "bodies travel as the text they are; compat='sqs' writes what sqs:// reads",
    "fetch_message_attributes": "all message attributes are fetched",
    "regioninfo": "the option 'region' says it all",
}

#: Other spellings of our names.
_ALIASES: Final[dict[str, str]] = {
    "client-config": "client_config",
    "sqs-creation-attributes": "queue_attributes",
    "sts_token_timeout": "role_seconds",
    "sts_role_arn": "role_arn",
    "profile_name": "profile",
    "region_name": "region",
    "aws_access_key_id": "access_key_id",
    "aws_secret_access_key": "secret_access_key",
    "aws_session_token": "session_token",
}

_IDENTITY_KEYS: Final = frozenset(f.name for f in fields(Identity))


def read_options(url: BrokerURL, transport_options: Mapping[str, Any]) -> Options:
    """Read the URL and the transport options into one value.

    Raises:
        OptionsError: an unknown name, a contradiction between the two, a value of the wrong type or out of range.
    """
    given = _merge(url, transport_options)
    _report_needless(given)
    identity = _identity(url, given)
    # What makes an identity is no longer among them.
    known = {name: convert(given.pop(name)) for name, convert in _CONVERTERS.items() if name in given}
    known["predefined_queues"] = _predefined(
        PredefinedQueue, "predefined_queues", "url", given.pop("predefined_queues", None), identity, _OF_ONE_QUEUE
    )
    known["predefined_exchanges"] = _predefined(
        PredefinedExchange, "predefined_exchanges", "arn", given.pop("predefined_exchanges", None), identity, {}
    )
    if given:
        raise OptionsError(_unknown(next(iter(given))))
    return Options(identity=identity, **known)


def _merge(url: BrokerURL, transport_options: Mapping[str, Any]) -> dict[str, Any]:
    """Put the options of both sources under our names; they may repeat but not contradict each other."""
    merged: dict[str, Any] = {}
    sources: tuple[tuple[str, Mapping[str, Any]], ...] = (
        ("broker_transport_options", {k: v for k, v in transport_options.items() if k not in _KOMBU_KEYS}),
        ("the broker URL", url.options),
    )
    for source, values in sources:
        for key, value in values.items():
            name = _ALIASES.get(key, key)
            if value is None:
                continue
            if name in merged and not _agree(name, merged[name], value):
                raise OptionsError(f"the option {key!r} of {source} contradicts another setting of {name!r}")
            merged[name] = value
    if url.prefix and merged.setdefault("queue_name_prefix", url.prefix) != url.prefix:
        raise OptionsError("the path of the broker URL and the option 'queue_name_prefix' differ: give one of them")
    return merged


def _agree(name: str, one: Any, other: Any) -> bool:
    """Whether two values of an option say the same, though a URL spells it otherwise: 0 and False, 5 and 5.0."""
    if str(one) == str(other):
        return True
    # Reading hooks may make an object.
    read = None if name == "hooks" else _CONVERTERS.get(name)
    return read is not None and bool(read(one) == read(other))


def _report_needless(given: dict[str, Any]) -> None:
    for name in [name for name in given if name in _NEEDLESS]:
        del given[name]
        told = logs.fields("option_without_effect", option=name)
        logger.info("the option %r has no effect on sns-sqs://: %s", name, _NEEDLESS[name], extra=told)


def _identity(url: BrokerURL, given: dict[str, Any]) -> Identity:
    """Take what makes an identity out of ``given``."""
    buffer = _number("sts_token_buffer_time", given.pop("sts_token_buffer_time", 0))
    values = {name: given.pop(name) for name in _IDENTITY_KEYS & given.keys()}
    if "role_seconds" in values:
        values["role_seconds"] = _integer("sts_token_timeout", values["role_seconds"])
        if buffer >= values["role_seconds"]:
            raise OptionsError("sts_token_buffer_time must be shorter than sts_token_timeout")
    endpoint = url.endpoint(secure=_maybe_flag("is_secure", given.pop("is_secure", None)), port=given.pop("port", None))
    if endpoint is not None:
        values.setdefault("endpoint_url", endpoint)
    if url.region is not None:
        values.setdefault("region", url.region)
    if url.access_key_id is not None:
        values.update(access_key_id=url.access_key_id, secret_access_key=url.secret_access_key)
    return Identity(**values)


def _predefined(
    cls: Any, option: str, address: str, given: Any, identity: Identity, converters: Mapping[str, Any]
) -> tuple[Any, ...]:
    """Read ``predefined_queues`` or ``predefined_exchanges``: name → address, and what differs in who signs.

    ``converters``: options that an entry may have of its own.
    """
    if given is None:
        return ()
    if not isinstance(given, Mapping):
        raise OptionsError(f"{option} is {type(given).__name__}: it maps a name to {{{address!r}: …}}")
    found = []
    for name, entry in given.items():
        if not isinstance(entry, Mapping) or not isinstance(entry.get(address), str):
            raise OptionsError(f"{option}[{name!r}] needs {address!r}")
        rest: dict[str, Any] = {_ALIASES.get(str(key), str(key)): entry[key] for key in entry if key != address}
        own = {key: convert(rest.pop(key)) for key, convert in converters.items() if key in rest}
        unknown = rest.keys() - _IDENTITY_KEYS
        if unknown:
            valid = _IDENTITY_KEYS | converters.keys() | {address}
            raise OptionsError(f"{option}[{name!r}]: {_unknown(min(unknown), valid)}")
        signer = replace(identity, **rest) if rest else identity
        found.append(cls(name=name, identity=signer, **{address: entry[address]}, **own))
    return tuple(found)


def _unknown(name: str, valid: frozenset[str] | None = None) -> str:
    """Say what is wrong with a name, and which valid one is nearest."""
    names = sorted(valid or VALID_NAMES)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else "valid are " + ", ".join(names)
    return f"unknown option {name!r}: {hint}"


def _integer(name: str, value: Any) -> int:
    number = _number(name, value)
    if not number.is_integer():
        raise OptionsError(f"{name} is {value!r}: it must be a whole number")
    return int(number)


def _number(name: str, value: Any) -> float:
    try:
        if isinstance(value, bool):
            raise TypeError
        return float(value)
    except (TypeError, ValueError):
        raise OptionsError(f"{name} is {value!r}: it must be a number") from None


_FLAGS: Final = {
    "1": True,
    "true": True,
    "yes": True,
    "on": True,
    "0": False,
    "false": False,
    "no": False,
    "off": False,
}


def _flag(name: str, value: Any) -> bool:
    flag = _FLAGS.get(str(value).lower())
    if flag is None:
        raise OptionsError(f"{name} is {value!r}: it must be true or false")
    return flag


def _maybe_flag(name: str, value: Any) -> bool | None:
    return None if value is None else _flag(name, value)


def _verify(value: Any) -> bool | str:
    return _FLAGS.get(str(value).lower(), str(value))


def _settings(name: str, value: Any) -> Settings:
    if not isinstance(value, Mapping):
        raise OptionsError(f"{name} is {type(value).__name__}: it must be a mapping")
    return Settings({str(key): entry for key, entry in value.items()})


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise OptionsError(f"{name} is {value!r}: it must be text")
    return unquote(value)


def _names(name: str, value: Any) -> frozenset[str]:
    names = [name.strip() for name in value.split(",")] if isinstance(value, str) else value
    if not isinstance(names, (list, tuple, set, frozenset)) or not all(isinstance(one, str) for one in names):
        raise OptionsError(f"{name} is {value!r}: it must be a list of names")
    return frozenset(names)


def _function(name: str, value: Any) -> Callable[..., Any]:
    """Take a function, or find it by its dotted path."""
    if isinstance(value, str):
        try:
            value = symbol_by_name(value)
        except (ImportError, AttributeError, ValueError) as exc:
            raise OptionsError(f"{name} is {value!r}, which cannot be imported: {exc}") from exc
    if not callable(value):
        raise OptionsError(f"{name} is {value!r}: it must be a function, or the dotted path of one")
    return value  # type: ignore[no-any-return]


def _converter(convert: Callable[[str, Any], Any], name: str) -> Callable[[Any], Any]:
    return lambda value: convert(name, value)


_CONVERTERS: Final[dict[str, Callable[[Any], Any]]] = {
    name: _converter(convert, name)
    for convert, names in {
        _text: ("queue_name_prefix", "topology", "compat", "event_exchange"),
        _integer: ("wait_time_seconds", "get_wait_seconds", "visibility_timeout", "prefetch_limit", "role_seconds"),
        _number: (
            "overflow_seconds",
            "ack_delay",
            "event_delay",
            "shutdown_timeout",
            "filter_delay",
            "policy_settling",
            "queue_settling",
            "bindings_max_age",
            "sweep_period",
            "connect_timeout",
            "read_timeout",
        ),
        _flag: ("eta_by_sqs", "filter_policies", "is_secure"),
        read_backoff_policy: ("backoff_policy",),
        _names: ("backoff_tasks",),
        _function: ("on_lease_lost",),
        hooks_of: ("hooks",),
        _settings: ("queue_tags", "queue_attributes", "client_config"),
    }.items()
    for name in names
} | {"verify": _verify, "account_id": str}

#: What an entry of ``predefined_queues`` may set for its queue alone.
_OF_ONE_QUEUE: Final = {name: _CONVERTERS[name] for name in ("backoff_policy", "backoff_tasks", "visibility_timeout")}

#: Every name that is understood.
VALID_NAMES: Final = (
    frozenset(_CONVERTERS)
    | _IDENTITY_KEYS
    | _ALIASES.keys()
    | _NEEDLESS.keys()
    | {"predefined_queues", "predefined_exchanges", "port", "sts_token_buffer_time"}
)
