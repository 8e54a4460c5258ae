"""What the engine assumes of libcurl and pycurl."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.endpoint import Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

pycurl = pytest.importorskip("pycurl")


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """Somewhere to connect to."""
    with Endpoint() as endpoint:
        yield endpoint


def transfer(url: str) -> Any:
    """A handle that is ready to go."""
    handle = pycurl.Curl()
    handle.setopt(pycurl.URL, url)
    handle.setopt(pycurl.NOSIGNAL, 1)
    handle.setopt(pycurl.POSTFIELDS, b"Action=Publish")
    handle.setopt(pycurl.WRITEFUNCTION, lambda _: None)
    return handle


def test_directions_have_the_numbers_the_drivers_use() -> None:
    """The same for what is wanted and for what is ready."""
    wanted = pycurl.POLL_IN, pycurl.POLL_OUT, pycurl.POLL_INOUT, pycurl.POLL_REMOVE
    assert wanted == (1, 2, 3, 4)
    assert (pycurl.CSELECT_IN, pycurl.CSELECT_OUT) == (1, 2)


def test_libcurl_refuses_to_be_called_from_its_own_callback(endpoint: Endpoint) -> None:
    """The reason for callbacks that only take note."""
    multi = pycurl.CurlMulti()
    refused: list[str] = []

    def call_again(*_: Any) -> None:
        try:
            multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        except pycurl.error as exc:
            refused.append(str(exc))

    multi.setopt(pycurl.M_SOCKETFUNCTION, call_again)
    handle = transfer(endpoint.url)
    multi.add_handle(handle)
    multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
    assert refused
    multi.remove_handle(handle)


def test_adding_a_handle_only_asks_for_a_turn(endpoint: Endpoint) -> None:
    """Nothing is sent before the first socket_action, which the timer asks for."""
    multi = pycurl.CurlMulti()
    sockets: list[Any] = []
    timers: list[int] = []
    multi.setopt(pycurl.M_SOCKETFUNCTION, lambda *note: sockets.append(note))
    multi.setopt(pycurl.M_TIMERFUNCTION, timers.append)
    handle = transfer(endpoint.url)
    multi.add_handle(handle)
    assert not sockets
    assert timers
    assert 0 <= timers[-1] <= 1
    multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
    assert len(sockets[0]) == 4
    multi.remove_handle(handle)


def test_handles_are_keys(endpoint: Endpoint) -> None:
    """The one given back at the end is the one put in."""
    multi = pycurl.CurlMulti()
    handle = transfer(endpoint.url)
    multi.add_handle(handle)
    ended: list[Any] = []
    while not ended:
        multi.select(1.0)
        multi.perform()
        ended = multi.info_read()[1]
    assert {handle: "kept"}[ended[0]] == "kept"


def test_reset_forgets_options_and_keeps_the_connection(endpoint: Endpoint) -> None:
    """So that a handle can be used again for another identity, at the price of no handshake."""
    handle = transfer(endpoint.url)
    handle.perform()
    handle.reset()
    handle.setopt(pycurl.URL, endpoint.url)
    handle.setopt(pycurl.POSTFIELDS, b"Action=Publish")
    handle.setopt(pycurl.WRITEFUNCTION, lambda _: None)
    handle.perform()
    assert (endpoint.connections, handle.getinfo(pycurl.NUM_CONNECTS)) == (1, 0)
    handle.close()


def test_an_empty_proxy_overrides_the_environment(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy is ours to choose, as botocore would."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    handle = transfer(endpoint.url)
    handle.setopt(pycurl.PROXY, "")
    handle.perform()
    assert handle.getinfo(pycurl.RESPONSE_CODE) == 200
    handle.close()
