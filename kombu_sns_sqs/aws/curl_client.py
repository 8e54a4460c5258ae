"""The engine of a worker: any number of requests at once on libcurl's multi interface, in one thread.

libcurl must not be called from its own callbacks. So these only take note, of sockets and of a deadline; the notes
are acted on when ``socket_action`` has returned, and promises are fulfilled after that.
https://curl.se/libcurl/c/curl_multi_socket_action.html
"""

from __future__ import annotations

import threading
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import pycurl
from vine import promise

from kombu_sns_sqs.aws.curl_handle import CurlHandle
from kombu_sns_sqs.aws.event_driven import EventDriven, closed
from kombu_sns_sqs.aws.failures import signing_failure
from kombu_sns_sqs.aws.forks import leak
from kombu_sns_sqs.aws.reply import Reply
from kombu_sns_sqs.errors import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kombu_sns_sqs.aws.driving import HubDriver, SelectorDriver
    from kombu_sns_sqs.aws.operation import Operation
    from kombu_sns_sqs.aws.sessions import Sessions

__all__ = ("CurlClient",)

#: Turns at which libcurl may ask to be called again at once before others on the hub get theirs.
_EAGER_TURNS: Final = 8


class CurlClient(EventDriven):
    """Carries operations out with libcurl, without repeating any. Calls may come from any thread.

    One thread at a time touches libcurl: calls are queued, and started by the thread that drives.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        super().__init__()

    @property
    def in_flight(self) -> int:
        """How many calls have not had their promise fulfilled."""
        return len(self._called) + len(self._active) + len(self._done)

    def call(self, operation: Operation) -> promise:
        """Start an operation; the promise is fulfilled in the driving thread."""
        fulfilled = promise()
        self._called.append((fulfilled, operation))
        self._waker.nudge()
        if self._closed:
            with self._lock:
                self._refuse_called()
            self._deliver_all()
        return fulfilled

    def abandon(self) -> None:
        """Start afresh in a forked child, leaving the connections to the parent."""
        if not self._closed:
            leak((self._multi, self._idle, self._active))
        super().abandon()

    # -- turning ---------------------------------------------------------------------------------------------

    def _fresh(self) -> None:
        super()._fresh()
        self._lock = threading.RLock()
        self._called: deque[tuple[promise, Operation]] = deque()
        #: What is under way, by libcurl's own handle.
        self._active: dict[Any, tuple[promise, Operation, CurlHandle]] = {}
        self._idle: list[CurlHandle] = []
        self._wanted: dict[int, int] = {}
        self._changes: list[tuple[int, int]] = []
        self._due: float | None = None
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._note_socket)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._note_deadline)

    def _due_at(self) -> float | None:
        return self._due

    def _work(self, ready: Iterable[tuple[int, int]]) -> None:
        with self._lock:
            if self._closed:
                return
            while self._called:
                self._start(*self._called.popleft())
            for fd, events in ready:
                # An earlier one of the same lot may have closed it.
                if fd in self._wanted:
                    self._act(fd, events)
            for _ in range(_EAGER_TURNS):
                if self._due is None or self._due > monotonic():
                    break
                self._due = None
                self._act(pycurl.SOCKET_TIMEOUT, 0)
            self._collect()
            if self._hub is not None:
                self._hub.schedule(self._due)

    def _start(self, fulfilled: promise, operation: Operation) -> None:
        try:
            session = self._sessions.get(operation.identity)
            signed = session.sign(operation)
            handle = self._idle.pop() if self._idle else CurlHandle()
            handle.load(operation, session, signed)
        except Exception as exc:  # noqa: BLE001 -- whoever waits for the answer has to get one
            self._finish(fulfilled, Reply(failure=signing_failure(exc, operation.action)))
            return
        self._active[handle.curl] = fulfilled, operation, handle
        self._multi.add_handle(handle.curl)
        self._apply()

    def _act(self, fd: int, events: int) -> None:
        self._multi.socket_action(fd, events)
        self._apply()

    def _apply(self) -> None:
        changes, self._changes = self._changes, []
        for fd, events in changes:
            # Forgotten first, always: a number may have been closed and opened again, and the kernel's own poller has
            # forgotten what was closed.
            self._forget(fd)
            if events != pycurl.POLL_REMOVE:
                self._wanted[fd] = events
                for driver in self._drivers:
                    driver.watch(fd, events)

    def _collect(self) -> None:
        queued = 1
        while queued:
            queued, ended, failed = self._multi.info_read()
            for curl in ended:
                self._conclude(curl, None)
            for curl, errno, message in failed:
                self._conclude(curl, (errno, message))
        self._apply()

    def _conclude(self, curl: Any, error: tuple[int, str] | None) -> None:
        fulfilled, operation, handle = self._active.pop(curl)
        reply = handle.reply(operation, error)
        self._multi.remove_handle(curl)
        # Connections are the multi handle's; an answer, or a large request, must not lie about with an idle handle.
        handle.unload()
        self._idle.append(handle)
        if reply.failure is not None and reply.failure.kind is Kind.EXPIRED:
            self._sessions.refresh(operation.identity)
        self._finish(fulfilled, reply)

    def _attached(self, driver: HubDriver | SelectorDriver) -> None:
        for fd, events in self._wanted.items():
            driver.watch(fd, events)
        if self._hub is not None:
            self._hub.schedule(self._due)

    # -- libcurl's callbacks ---------------------------------------------------------------------------------

    def _note_socket(self, events: int, fd: int, _multi: Any, _data: Any) -> None:
        if events == pycurl.POLL_REMOVE:
            # At once, while it is open. A child that was forked meanwhile has it open, too: the kernel's poller does
            # not forget it then when it is closed here, nor can it be told to, and it reports it without end.
            self._forget(fd)
        self._changes.append((fd, events))

    def _forget(self, fd: int) -> None:
        self._wanted.pop(fd, None)
        for driver in self._drivers:
            driver.forget(fd)

    def _note_deadline(self, milliseconds: int) -> None:
        self._due = None if milliseconds < 0 else monotonic() + milliseconds / 1000

    # -- the end ---------------------------------------------------------------------------------------------

    def _stop(self) -> None:
        with self._lock:
            self._refuse_called()
            for curl, (fulfilled, operation, handle) in list(self._active.items()):
                self._multi.remove_handle(curl)
                handle.close()
                self._finish(fulfilled, closed(operation))
            self._active.clear()
            for handle in self._idle:
                handle.close()
            self._idle.clear()
            self._multi.close()
            self._wanted.clear()

    def _refuse_called(self) -> None:
        while self._called:
            fulfilled, operation = self._called.popleft()
            self._finish(fulfilled, closed(operation))
