"""The broker URL: ``sns-sqs://[key:secret@][host[:port]][/name-prefix][?option=value]``.

Not read with :mod:`urllib`: a secret access key may hold a ``/``, which a general parser takes for the path.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlencode

from kombu_sns_sqs.errors import OptionsError

SCHEME: Final = "sns-sqs"
#: The host that stands for a service of our own, started on first use.
LOCAL: Final = "local"

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1", "[::1]"})
_SERVICE_HOST: Final = re.compile(r"^(?:sqs|sns)\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?$")
_HOST: Final = re.compile(r"^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9._-]*))?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerURL:
    """A broker URL in its parts.

    Args:
        access_key_id: the part before ``:`` of the user information, or None.
        secret_access_key: the part behind it.
        host: the endpoint's host; empty: AWS itself; ``local``: a service that is started for this process tree.
        port: the endpoint's port, or None.
        prefix: the path without its slashes: the prefix of every name.
        options: the query.
    """

    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)
    host: str = ""
    port: int | None = None
    prefix: str = ""
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_local(self) -> bool:
        """Whether the URL asks for the embedded local service."""
        return self.host == LOCAL and self.port is None

    @property
    def region(self) -> str | None:
        """The region that a host such as ``sqs.eu-west-1.amazonaws.com`` names."""
        match = _SERVICE_HOST.match(self.host)
        return match.group(1) if match else None

    def endpoint(self, *, secure: bool | None = None, port: object = None) -> str | None:
        """Give the endpoint URL, None for AWS's own.

        https, except http for loopback; ``?ssl=0`` or the option ``is_secure`` decide otherwise.
        """
        if not self.host or self.is_local or self.region is not None:
            return None
        https = self.host not in _LOOPBACK if secure is None else secure
        number = self.port or port
        return f"{'https' if https else 'http'}://{self.host}" + (f":{number}" if number else "")

    @property
    def printable(self) -> str:
        """The URL without its keys; to be read again it has to say the same."""
        port = f":{self.port}" if self.port else ""
        path = f"/{quote(self.prefix)}" if self.prefix else ""
        query = urlencode(self.options, quote_via=quote, safe=":/,")
        return f"{SCHEME}://{self.host}{port}{path}" + (f"?{query}" if query else "")

    def with_keys(self, keys: str | None) -> BrokerURL:
        """Put keys in, given as ``key:secret``; None: as it is."""
        if not keys:
            return self
        key, _, secret = keys.partition(":")
        return replace(self, access_key_id=key, secret_access_key=secret)

    @classmethod
    def parse(cls, url: str) -> BrokerURL:
        """Read a URL.

        Raises:
            OptionsError: it has another scheme, or a part that cannot be read; the message never shows a key.
        """
        scheme, separator, rest = url.partition("://")
        if not separator:
            scheme, rest = SCHEME, url
        if scheme != SCHEME:
            raise OptionsError(f"the scheme of the broker URL is {scheme!r}: expected {SCHEME}://")
        user, at, address = rest.rpartition("@")
        if at and "?" in user:
            # What is behind the last '@' is not the host then.
            raise OptionsError("the broker URL has an '@' behind a '?': write it as %40, and a '?' in a key as %3F")
        address, _, query = address.partition("?")
        host_port, _, prefix = address.partition("/")
        key, secret = _keys(user) if user else (None, None)
        host, port = _host_port(host_port)
        return cls(
            access_key_id=key,
            secret_access_key=secret,
            host=host,
            port=port,
            prefix=unquote(prefix).strip("/"),
            options=MappingProxyType(_options(query)),
        )


def _keys(user: str) -> tuple[str, str]:
    key, colon, secret = user.partition(":")
    if not (key and colon and secret):
        raise OptionsError(
            "the part of the broker URL before '@' is not key:secret; leave it out to use the AWS credential chain"
        )
    return unquote(key), unquote(secret)


def _host_port(text: str) -> tuple[str, int | None]:
    host, colon, digits = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, digits = text, ""
    if not _HOST.match(host):
        raise OptionsError(
            "the host of the broker URL cannot be read: expected sns-sqs://[key:secret@][host[:port]][/prefix][?options]"
        )
    if not digits:
        return host, None
    if not digits.isdigit() or not 0 < int(digits) < 65_536:  # noqa: PLR2004
        raise OptionsError("the port of the broker URL is not a number from 1 to 65535")
    return host, int(digits)


#: How the query may spell an option.
_QUERY_NAMES: Final = {"ssl": "is_secure"}
#: What a URL may only say before its ``@``, from where it is taken out before anything is shown.
_SECRET_NAMES: Final = frozenset(
    f"{prefix}{name}" for prefix in ("", "aws_") for name in ("access_key_id", "secret_access_key", "session_token")
)
#: As in the URL of an endpoint behind a proxy that asks for them.
_USER_IN_URL: Final = re.compile(r"://.*@")


def _options(query: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise OptionsError("the query of the broker URL is not option=value&option=value") from None
    options: dict[str, str] = {}
    for key, value in pairs:
        if key in _SECRET_NAMES:
            raise OptionsError(
                f"{key} cannot be an option of the broker URL, which is shown: put it into"
                " broker_transport_options, or key:secret@ before the host"
            )
        if _USER_IN_URL.search(value):
            raise OptionsError(
                f"{key} in the broker URL, which is shown, has a user and a password: put it into"
                " broker_transport_options"
            )
        if _QUERY_NAMES.get(key, key) in options:
            raise OptionsError(f"the broker URL gives the option {key!r} twice")
        options[_QUERY_NAMES.get(key, key)] = value
    return options
