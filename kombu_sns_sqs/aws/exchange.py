"""One request and its answer, in the calling thread: by libcurl, or by urllib3."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final, Protocol

import urllib3

from kombu_sns_sqs.aws.forks import leak, tell_after_fork
from kombu_sns_sqs.aws.reply import Reply, read_reply, unreachable

try:
    import pycurl

    from kombu_sns_sqs.aws.curl_handle import CurlHandle
except ImportError:  # no libcurl, or one built against another TLS library
    pycurl = None

if TYPE_CHECKING:
    from kombu_sns_sqs.aws.operation import Operation
    from kombu_sns_sqs.aws.session import Session, SignedRequest

__all__ = ("HAS_CURL", "CurlExchange", "Exchange", "UrllibExchange")

HAS_CURL: Final = pycurl is not None
#: Connections kept for each endpoint; more threads than this still work, on connections that are not kept.
_KEPT: Final = 32


class Exchange(Protocol):
    """Posts a signed request and waits for the answer. Safe for threads, and for forked children."""

    def perform(self, operation: Operation, session: Session, signed: SignedRequest) -> Reply:
        """Give the reply; what the network does is a value in it."""

    def close(self) -> None:
        """Close what connections are idle."""


class CurlExchange:
    """libcurl's easy interface: a handle, with its connections, for each thread that waits."""

    def __init__(self) -> None:
        # A stock of handles and not one a thread: threads that end leave nothing behind, and the most recently used
        # handle, whose connection is most surely alive, goes out first.
        self._idle: deque[CurlHandle] = deque()
        tell_after_fork(self)

    def perform(self, operation: Operation, session: Session, signed: SignedRequest) -> Reply:
        """Give the reply; what the network does is a value in it."""
        try:
            handle = self._idle.pop()
        except IndexError:
            handle = CurlHandle()
        idle = self._idle
        handle.load(operation, session, signed)
        try:
            handle.curl.perform()
        except pycurl.error as exc:
            return handle.reply(operation, exc.args)
        else:
            return handle.reply(operation)
        finally:
            handle.unload()
            idle.append(handle)

    def close(self) -> None:
        """Close what connections are idle."""
        while self._idle:
            self._idle.pop().close()

    def abandon(self) -> None:
        """Start afresh in a forked child."""
        if self._idle:
            leak(self._idle)
        self._idle = deque()


class UrllibExchange:
    """urllib3: for gevent and eventlet, which cannot switch inside libcurl, and for where pycurl does not import."""

    def __init__(self) -> None:
        self.abandon()
        tell_after_fork(self)

    def perform(self, operation: Operation, session: Session, signed: SignedRequest) -> Reply:
        """Give the reply; what the network does is a value in it."""
        try:
            answer = self._pool(session, signed.url).urlopen(
                "POST",
                signed.url,
                body=signed.body,
                headers=dict(line.split(": ", 1) for line in signed.headers),
                timeout=urllib3.Timeout(connect=session.connect_timeout, read=session.timeout_of(operation)),
                retries=False,
                redirect=False,
            )
        except urllib3.exceptions.HTTPError as exc:
            return unreachable(operation, _code_of(exc), str(exc))
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return read_reply(operation, answer.status, headers, answer.data)

    def close(self) -> None:
        """Close what connections are idle."""
        for pool in list(self._pools.values()):
            pool.clear()

    def abandon(self) -> None:
        """Start afresh in a forked child; sockets of Python's own are closed there without a word to the other end."""
        self._pools: dict[tuple[str | None, str | None], urllib3.PoolManager] = {}

    def _pool(self, session: Session, url: str) -> urllib3.PoolManager:
        key = session.proxy(url), session.certificates
        pool = self._pools.get(key)
        if pool is None:
            # Two threads that get here together may make two: the one that is not kept closes by itself.
            pool = self._pools.setdefault(key, _new_pool(*key))
        return pool


def _new_pool(proxy: str | None, certificates: str | None) -> urllib3.PoolManager:
    trust: dict[str, Any] = {"maxsize": _KEPT, "cert_reqs": "CERT_REQUIRED" if certificates else "CERT_NONE"}
    if certificates:
        trust["ca_certs"] = certificates
    return urllib3.ProxyManager(proxy, **trust) if proxy else urllib3.PoolManager(**trust)


def _code_of(exc: urllib3.exceptions.HTTPError) -> str:
    error = urllib3.exceptions
    names: tuple[tuple[type[BaseException], str], ...] = (
        (error.NewConnectionError, "ConnectionRefused"),
        (error.TimeoutError, "Timeout"),
        (error.SSLError, "SSLError"),
        (error.ProxyError, "ProxyError"),
        (error.ProtocolError, "ConnectionClosed"),
    )
    return next((name for cls, name in names if isinstance(exc, cls)), type(exc).__name__)
