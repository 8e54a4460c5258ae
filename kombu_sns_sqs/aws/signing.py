"""botocore's Signature Version 4, with what is the same for every request worked out once.

Signing is what a request costs most: botocore takes up the URL, every header and four keys anew each time. The steps
stay botocore's, and so does their order; these answer from memory.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("Signer",)


class _Request:
    """What botocore's signer asks of a request: a POST without a query."""

    __slots__ = ("body", "context", "headers", "method", "params", "url")

    def __init__(self, url: str, headers: dict[str, str], body: bytes) -> None:
        self.method = "POST"
        self.url = url
        self.headers = headers
        self.body = body
        self.params: Mapping[str, str] = {}
        self.context: dict[str, Any] = {}


class _Key(NamedTuple):
    """What a day's signatures have in common."""

    day: str
    scope: str
    key: bytes


class Signer(SigV4Auth):
    """Signs POSTs to one endpoint with one set of credentials. Safe for threads.

    Args:
        credentials: frozen credentials of botocore.
        service: ``"sqs"`` or ``"sns"``.
        url: where the requests are posted to.
        user_agent: sent along, unsigned.
    """

    def __init__(self, credentials: Any, *, service: str, region: str, url: str, user_agent: str) -> None:
        super().__init__(credentials, service, region)
        self.url = url
        self._user_agent = user_agent
        self._host: str = super().headers_to_sign(_Request(url, {}, b""))["host"]
        self._path = self._normalize_url_path(urlsplit(url).path)
        self._key = _Key("", "", b"")
        #: The names of a request's headers → each in lower case and as it is, sorted, and the list that is signed.
        self._orders: dict[tuple[str, ...], tuple[list[tuple[str, str]], str]] = {}

    def sign(self, headers: Mapping[str, str], body: bytes) -> tuple[tuple[str, str], ...]:
        """Give the headers to send: those given, which are all signed, and those that make the signature."""
        request = _Request(self.url, dict(headers), body)
        self.add_auth(request)
        return (*request.headers.items(), ("User-Agent", self._user_agent))

    # -- the steps of botocore's add_auth() ----------------------------------------------------------------------

    def canonical_request(self, request: _Request) -> str:
        """Give the request in the form that is signed."""
        headers = request.headers
        order, signed = self._order(tuple(headers))
        lines = "\n".join([f"{lower}:{headers.get(name, self._host)}" for lower, name in order])
        return f"POST\n{self._path}\n\n{lines}\n\n{signed}\n{sha256(request.body).hexdigest()}"

    def headers_to_sign(self, request: _Request) -> Mapping[str, str]:
        """Give what :meth:`signed_headers` takes."""
        return request.headers

    def signed_headers(self, headers_to_sign: Mapping[str, str]) -> str:
        """Name the headers that are signed."""
        return self._order(tuple(headers_to_sign))[1]

    def scope(self, request: _Request) -> str:
        """Say whose key signs, and for what."""
        return f"{self.credentials.access_key}/{self.credential_scope(request)}"

    def credential_scope(self, request: _Request) -> str:
        """Say for what a key of the day is good."""
        return self._key_of(request).scope

    def signature(self, string_to_sign: str, request: _Request) -> str:
        """Sign with the key of the day."""
        return hmac.digest(self._key_of(request).key, string_to_sign.encode(), "sha256").hex()

    def _order(self, names: tuple[str, ...]) -> tuple[list[tuple[str, str]], str]:
        order = self._orders.get(names)
        if order is None:
            lower = sorted((name.lower(), name) for name in (*names, "Host"))
            order = self._orders[names] = lower, ";".join(name for name, _ in lower)
        return order

    def _key_of(self, request: _Request) -> _Key:
        day = request.context["timestamp"][:8]
        if self._key.day != day:
            parts = day, self._region_name, self._service_name, "aws4_request"
            key = f"AWS4{self.credentials.secret_key}".encode()
            for part in parts:
                key = hmac.digest(key, part.encode(), "sha256")
            self._key = _Key(day, "/".join(parts), key)
        return self._key
