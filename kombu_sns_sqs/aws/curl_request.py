"""One signed request on one libcurl handle: what both curl engines share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pycurl

from kombu_sns_sqs.aws.reply import Reply, read_reply, unreachable

if TYPE_CHECKING:
    from kombu_sns_sqs.aws.operation import Operation
    from kombu_sns_sqs.aws.session import Session, SignedRequest

__all__ = ("CurlRequest",)

_MS: Final = 1000
#: Seconds a connection may lie idle before TCP asks whether the other end is still there.
_KEEPALIVE: Final = 30
#: Seconds for which a resolved name is believed.
_NAMES_LAST: Final = 60

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


class CurlRequest:
    """Loads a fresh or reset handle with a request, and reads the reply when the transfer has ended.

    A request that meets a kept connection the server has just closed is sent again by libcurl itself, once, on a new
    connection, where not one byte of an answer has come.
    """

    __slots__ = ("_body", "_headers", "handle", "operation")

    def __init__(self, *, handle: Any, operation: Operation, session: Session, signed: SignedRequest) -> None:
        self.handle = handle
        self.operation = operation
        self._headers: list[bytes] = []
        self._body: list[bytes] = []
        for option, value in _options(session, operation, signed):
            handle.setopt(option, value)
        handle.setopt(pycurl.HEADERFUNCTION, self._headers.append)
        handle.setopt(pycurl.WRITEFUNCTION, self._body.append)

    def reply(self) -> Reply:
        """Read the answer of a transfer that has ended well."""
        status = self.handle.getinfo(pycurl.RESPONSE_CODE)
        return read_reply(self.operation, status, self._named_headers(), b"".join(self._body))

    def failed(self, errno: int, message: str) -> Reply:
        """Say why a transfer has not ended well."""
        return unreachable(self.operation, _CODES.get(errno, f"Curl{errno}"), message)

    def _named_headers(self) -> dict[str, str]:
        # After a 100 Continue or a proxy's 200 the lines of the answer itself follow, and overwrite.
        lines = (line.decode("latin-1").partition(":") for line in self._headers)
        return {name.strip().lower(): value.strip() for name, colon, value in lines if colon}


def _options(session: Session, operation: Operation, signed: SignedRequest) -> list[tuple[int, Any]]:
    certificates = session.certificates
    options = [
        (pycurl.URL, signed.url),
        # Without "Expect" libcurl would hold back a large body for a second, waiting for leave to send it.
        (pycurl.HTTPHEADER, [*(f"{name}: {value}" for name, value in signed.headers), "Expect:"]),
        (pycurl.POST, 1),
        (pycurl.POSTFIELDS, signed.body),
        (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),
        (pycurl.NOSIGNAL, 1),
        (pycurl.CONNECTTIMEOUT_MS, int(session.connect_timeout * _MS)),
        (pycurl.TIMEOUT_MS, int((session.connect_timeout + session.timeout_of(operation)) * _MS)),
        (pycurl.TCP_KEEPALIVE, 1),
        (pycurl.TCP_KEEPIDLE, _KEEPALIVE),
        (pycurl.TCP_KEEPINTVL, _KEEPALIVE),
        (pycurl.TCP_NODELAY, 1),
        (pycurl.DNS_CACHE_TIMEOUT, _NAMES_LAST),
        # Set even when empty: libcurl's own reading of the environment differs from botocore's.
        (pycurl.PROXY, session.proxy(signed.url) or ""),
        (pycurl.NOPROXY, ""),
        (pycurl.SSL_VERIFYPEER, 1 if certificates else 0),
        (pycurl.SSL_VERIFYHOST, 2 if certificates else 0),
    ]
    if certificates:
        options.append((pycurl.CAINFO, certificates))
    return options
