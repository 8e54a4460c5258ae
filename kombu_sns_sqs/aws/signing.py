"""Signature Version 4, with what is the same for every request worked out once.

How a request is put down to be signed is botocore's business, and asked of it once for each set of headers; what
differs from one request to the next, date, body and signature, is filled in here. A publish comes after a wait, when
the processor has forgotten all code and data of it: what it costs is the number of places it touches.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hmac
import time
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("Signer", "as_lines")

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
#: Stands for the date of a request in a form.
_SOME_DATE: Final = "20000101T000000Z"
_DATE: Final = "%Y%m%dT%H%M%SZ"
#: Bytes that SHA-256 takes in at a time.
_BLOCK: Final = 64
_READY: Final = sha256()


class _Form(NamedTuple):
    """What requests with the same headers have in common: these, and the canonical request around its date."""

    lines: tuple[str, ...]
    head: str
    tail: str
    signed_headers: str


class _Key(NamedTuple):
    """A key of HMAC, as its two hashes have taken it in: a signature goes on with copies of them.

    A third less than ``hmac.HMAC.copy`` takes. https://www.rfc-editor.org/rfc/rfc2104#section-4
    """

    inner: Any
    outer: Any

    @classmethod
    def of(cls, key: bytes) -> _Key:
        """Take a key of at most 64 bytes in."""
        block = key.ljust(_BLOCK, b"\0")
        return cls(sha256(bytes(byte ^ 0x36 for byte in block)), sha256(bytes(byte ^ 0x5C for byte in block)))

    def sign(self, text: str) -> str:
        """Give the HMAC of a text, in hexadecimal."""
        inner, outer = self.inner.copy(), self.outer.copy()
        inner.update(text.encode())
        outer.update(inner.digest())
        return str(outer.hexdigest())


class _Moment(NamedTuple):
    """What the signatures of a second have in common: the date, what is signed before the hash, and the day's key."""

    second: int
    date: str
    line: str
    preamble: str
    credential: str
    key: _Key


_NEVER: Final = _Moment(-1, "", "", "", "", _Key(sha256(), sha256()))


class Signer:
    """Signs POSTs to one endpoint with one set of credentials. Safe for threads.

    Args:
        credentials: frozen credentials of botocore.
        service: ``"sqs"`` or ``"sns"``.
        url: where the requests are posted to.
        user_agent: sent along, unsigned.
        lasting: whether the credentials are never renewed.
        clock: epoch seconds.
    """

    def __init__(
        self,
        credentials: Any,
        *,
        service: str,
        region: str,
        url: str,
        user_agent: str,
        lasting: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.credentials = credentials
        self.lasting = lasting
        self.url = url
        self._auth = SigV4Auth(credentials, service, region)
        self._scope = f"{region}/{service}/aws4_request"
        self._clock = clock
        self._forms: dict[tuple[tuple[str, str], ...], _Form] = {}
        self._moment = _NEVER
        self._token: tuple[tuple[str, str], ...] = ()
        if credentials.token:
            self._token = (("X-Amz-Security-Token", credentials.token),)
        self._more = as_lines((*self._token, ("User-Agent", user_agent)))

    def sign(self, headers: tuple[tuple[str, str], ...], body: bytes) -> tuple[str, ...]:
        """Give the headers to send, line by line: those given, which are all signed, and what makes the signature."""
        form = self._forms.get(headers) or self._new_form(headers)
        second = int(self._clock())
        moment = self._moment
        if moment.second != second:
            moment = self._moment = self._new_moment(second)
        canonical = f"{form.head}{moment.date}{form.tail}{_digest(body)}"
        signature = moment.key.sign(f"{moment.preamble}{_digest(canonical.encode())}")
        authorization = f"{moment.credential}, SignedHeaders={form.signed_headers}, Signature={signature}"
        return (*form.lines, moment.line, authorization, *self._more)

    def _new_form(self, headers: tuple[tuple[str, str], ...]) -> _Form:
        signed = {**dict(headers), **dict(self._token), "X-Amz-Date": _SOME_DATE}
        request = AWSRequest("POST", self.url, signed, data=b"")
        head, _, tail = self._auth.canonical_request(request).partition(_SOME_DATE)
        names = self._auth.signed_headers(self._auth.headers_to_sign(request))
        # The last line is the hash of the body, here of an empty one.
        form = self._forms[headers] = _Form(as_lines(headers), head, tail[: tail.rindex("\n") + 1], names)
        return form

    def _new_moment(self, second: int) -> _Moment:
        date = time.strftime(_DATE, time.gmtime(second))
        day = date[:8]
        scope = f"{day}/{self._scope}"
        before = self._moment
        key = before.key if before.date[:8] == day else self._key_of(scope)
        credential = f"Authorization: {_ALGORITHM} Credential={self.credentials.access_key}/{scope}"
        return _Moment(second, date, f"X-Amz-Date: {date}", f"{_ALGORITHM}\n{date}\n{scope}\n", credential, key)

    def _key_of(self, scope: str) -> _Key:
        key = f"AWS4{self.credentials.secret_key}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        return _Key.of(key)


def _digest(data: bytes) -> str:
    # A copy of one that is ready takes a third less than a new one, which OpenSSL has to look up.
    digest = _READY.copy()
    digest.update(data)
    return digest.hexdigest()


def as_lines(headers: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    """Write headers as HTTP does."""
    return tuple(f"{name}: {value}" for name, value in headers)
