"""Signed requests on a libcurl handle: what both curl engines share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pycurl

from kombu_sns_sqs.aws.reply import Reply, read_reply, unreachable

if TYPE_CHECKING:
    from kombu_sns_sqs.aws.operation import Operation
    from kombu_sns_sqs.aws.session import Session, SignedRequest

__all__ = ("CurlHandle",)

_MS: Final = 1000
#: Seconds a connection may lie idle before TCP asks whether the other end is still there.
_KEEPALIVE: Final = 30
#: Seconds for which a resolved name is believed.
_NAMES_LAST: Final = 60

_OK: Final = 200
_NONE: Final[dict[str, str]] = {}
#: How the names of those headers begin that a reply is read from: ``Date`` and ``X-Amzn-…``.
_READ: Final = frozenset({b"d", b"D", b"x", b"X"})
#: A request of more bytes is not left with an idle handle.
_LARGE: Final = 1 << 14

#: libcurl's error → a name for it; all others keep their number.
#: https://curl.se/libcurl/c/libcurl-errors.html
_CODES: Final[dict[int, str]] = {
    pycurl.E_COULDNT_RESOLVE_PROXY: "ProxyNotResolved",
    pycurl.E_COULDNT_RESOLVE_HOST: "NameNotResolved",
    pycurl.E_COULDNT_CONNECT: "ConnectionRefused",
    pycurl.E_OPERATION_TIMEDOUT: "Timeout",
    pycurl.E_SSL_CONNECT_ERROR: "SSLError",
    pycurl.E_PEER_FAILED_VERIFICATION: "SSLError",
    pycurl.E_SSL_CACERT_BADFILE: "SSLError",
    pycurl.E_GOT_NOTHING: "ConnectionClosed",
    pycurl.E_PARTIAL_FILE: "ConnectionClosed",
    pycurl.E_SEND_ERROR: "ConnectionClosed",
    pycurl.E_RECV_ERROR: "ConnectionClosed",
}


class CurlHandle:
    """A libcurl handle that carries one request after the other: what both curl engines share.

    What is the same for all requests of a session is set once: setting it costs more than signing.

    A request that meets a kept connection the server has just closed is sent again by libcurl itself, once, on a new
    connection, where not one byte of an answer has come.
    """

    __slots__ = ("_body", "_headers", "_large", "_session", "_timeout", "_url", "curl")

    def __init__(self) -> None:
        self.curl = pycurl.Curl()
        self._session: Session | None = None
        self._url = ""
        self._timeout = -1.0
        self._large = False
        self._headers: list[bytes] = []
        self._body: list[bytes] = []
        self.curl.setopt(pycurl.HEADERFUNCTION, self._headers.append)
        self.curl.setopt(pycurl.WRITEFUNCTION, self._body.append)

    def load(self, operation: Operation, session: Session, signed: SignedRequest) -> None:
        """Take a request."""
        if session is not self._session or signed.url != self._url:
            self._session, self._url, self._timeout = session, signed.url, -1.0
            for option, value in _options(session, signed.url):
                self.curl.setopt(option, value)
        timeout = session.connect_timeout + session.timeout_of(operation)
        if timeout != self._timeout:
            self._timeout = timeout
            self.curl.setopt(pycurl.TIMEOUT_MS, int(timeout * _MS))
        # Without "Expect" libcurl would hold back a large body for a second, waiting for leave to send it.
        self.curl.setopt(pycurl.HTTPHEADER, [*signed.headers, "Expect:"])
        self.curl.setopt(pycurl.POSTFIELDS, signed.body)
        self._large = len(signed.body) > _LARGE

    def unload(self) -> None:
        """Let go of the answer, and of a request that takes room; the connection is kept."""
        self._headers.clear()
        self._body.clear()
        if self._large:
            self.curl.setopt(pycurl.POSTFIELDS, b"")

    def reply(self, operation: Operation, error: tuple[int, str] | None = None) -> Reply:
        """Read the answer of a transfer that has ended; ``error``: libcurl's number and message, where it failed."""
        if error is not None:
            return unreachable(operation, _CODES.get(error[0], f"Curl{error[0]}"), error[1])
        status = self.curl.getinfo(pycurl.RESPONSE_CODE)
        # Of a success they tell the time alone, which few ask for.
        headers = self._named_headers() if operation.dated or status != _OK else _NONE
        return read_reply(operation, status, headers, b"".join(self._body))

    def close(self) -> None:
        """Close the handle, and its connections where they are its own."""
        self.curl.close()

    def _named_headers(self) -> dict[str, str]:
        # After a 100 Continue or a proxy's 200 the lines of the answer itself follow, and overwrite.
        lines = [line.decode("latin-1").partition(":") for line in self._headers if line[:1] in _READ]
        return {name.strip().lower(): value.strip() for name, colon, value in lines if colon}


def _options(session: Session, url: str) -> list[tuple[int, Any]]:
    certificates = session.certificates
    options = [
        (pycurl.URL, url),
        (pycurl.POST, 1),
        (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),
        (pycurl.NOSIGNAL, 1),
        (pycurl.CONNECTTIMEOUT_MS, int(session.connect_timeout * _MS)),
        (pycurl.TCP_KEEPALIVE, 1),
        (pycurl.TCP_KEEPIDLE, _KEEPALIVE),
        (pycurl.TCP_KEEPINTVL, _KEEPALIVE),
        (pycurl.TCP_NODELAY, 1),
        (pycurl.DNS_CACHE_TIMEOUT, _NAMES_LAST),
        # Set even when empty: libcurl's own reading of the environment differs from botocore's.
        (pycurl.PROXY, session.proxy(url) or ""),
        (pycurl.NOPROXY, ""),
        (pycurl.SSL_VERIFYPEER, 1 if certificates else 0),
        (pycurl.SSL_VERIFYHOST, 2 if certificates else 0),
    ]
    if certificates:
        options.append((pycurl.CAINFO, certificates))
    return options
