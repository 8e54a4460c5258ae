"""What both engines driven by events promise: by a hub, by themselves, from other threads, to the end."""

from __future__ import annotations

import os
import threading
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest
from kombu.asynchronous import Hub

from kombu_sns_sqs.aws.client import EventClient
from kombu_sns_sqs.aws.engines import ENGINE_VARIABLE, event_client
from kombu_sns_sqs.errors import Kind
from kombu_sns_sqs.identity import Identity
from tests.faults.weather import Hangs, Refused
from tests.unit.aws.waiting import poll, run_until, send, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kombu_sns_sqs.aws.reply import Reply
    from kombu_sns_sqs.aws.sessions import Sessions
    from tests.faults.endpoint import Endpoint


@pytest.fixture(params=["curl", "threads"])
def client(request: pytest.FixtureRequest, sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Each of the engines."""
    if request.param == "curl":
        pytest.importorskip("pycurl")
    monkeypatch.setenv(ENGINE_VARIABLE, request.param)
    client = event_client(sessions)
    yield client
    client.close()


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A loop of kombu's."""
    hub = Hub()
    yield hub
    hub.close()


class Shutdown(SystemExit):
    """What Celery raises to stop a worker."""


def test_it_is_an_event_client(client: EventClient) -> None:
    """All the verbs are there."""
    assert isinstance(client, EventClient)


def test_a_promise_is_fulfilled_while_it_runs_by_itself(client: EventClient, identity: Identity) -> None:
    """And not inside the call."""
    got: list[Reply] = []
    client.call(send(identity)).then(got.append)
    assert (got, client.in_flight) == ([], 1)
    run_until(client, lambda: got)
    assert (got[0].value, client.in_flight) == ("m", 0)


def test_a_promise_is_fulfilled_while_its_hub_turns(client: EventClient, identity: Identity, hub: Hub) -> None:
    """A call made before it was attached, too."""
    got: list[Reply] = []
    client.call(send(identity)).then(got.append)
    client.attach(hub)
    client.call(send(identity)).then(got.append)
    until(lambda: len(got) == 2, hub.run_once)
    assert [reply.value for reply in got] == ["m", "m"]


@pytest.mark.parametrize("driven_by", ["hub", "itself"])
def test_a_socket_that_a_forked_child_holds_open_is_reported_no_more_when_it_is_closed_here(
    sessions: Sessions, identity: Identity, endpoint: Endpoint, hub: Hub, driven_by: str
) -> None:
    """The kernel's poller forgets what is closed only with its last copy: a worker's loop would turn without end."""
    client = pytest.importorskip("kombu_sns_sqs.aws.curl_client").CurlClient(sessions)
    got: list[Reply] = []
    if driven_by == "hub":
        client.attach(hub)
    endpoint.fault("SendMessage", Hangs())
    client.call(send(identity)).then(got.append)
    turn = hub.run_once if driven_by == "hub" else lambda: client.run_once(0.0)
    until(lambda: client._wanted and endpoint.wait_for("SendMessage", 1, within=0.0), turn)
    copies = [os.dup(fd) for fd in client._wanted]
    endpoint.clear()
    until(lambda: got, turn)
    assert got[0].failure is not None
    client._waker.drain()
    poller = hub.poller if driven_by == "hub" else client._selector._selector._selector
    assert not list(poller.poll(0))
    client.close()
    for copy in copies:
        os.close(copy)


def test_it_runs_inside_a_callback_of_the_very_hub(client: EventClient, identity: Identity, hub: Hub) -> None:
    """As Celery waits for replies in the middle of a callback."""
    got: list[Any] = []

    def wait_for_another(reply: Reply) -> None:
        client.call(send(identity)).then(got.append)
        run_until(client, lambda: got)
        got.append(reply)

    client.attach(hub)
    client.call(send(identity)).then(wait_for_another)
    until(lambda: len(got) == 2, hub.run_once)


def test_many_calls_are_under_way_at_once(client: EventClient, identity: Identity, endpoint: Endpoint) -> None:
    """A long poll does not hold up what comes after it."""
    got: list[Reply] = []
    polls = [client.call(poll(identity)) for _ in range(8)]
    until(lambda: endpoint.calls["ReceiveMessage"] == 8, lambda: client.run_once(0.1))
    client.call(send(identity)).then(got.append)
    run_until(client, lambda: got)
    assert client.in_flight == 8
    endpoint.enqueue(*"abcdefgh")
    run_until(client, lambda: any(promise.ready for promise in polls))


def test_a_large_message_goes_out(client: EventClient, identity: Identity, endpoint: Endpoint, hub: Hub) -> None:
    """One that a socket does not take at once, so that it must be written as the loop turns."""
    got: list[Reply] = []
    client.attach(hub)
    client.call(send(identity, "x" * 1_000_000)).then(got.append)
    until(lambda: got, hub.run_once)
    assert got[0].ok
    assert len(endpoint.requests[0].body) > 1_000_000


def test_run_once_gives_up_after_its_timeout(client: EventClient, identity: Identity) -> None:
    """With nothing to wait for, and with something."""
    began = monotonic()
    client.run_once(0.05)
    polled = client.call(poll(identity))
    client.run_once(0)
    client.run_once(0.05)
    assert monotonic() - began < 10
    assert not polled.ready


def test_run_once_returns_when_woken_by_another_thread(client: EventClient) -> None:
    """Though it would wait for ever."""
    waker = threading.Timer(0.05, client.wake)
    waker.start()
    client.run_once(None)
    waker.join()


def test_a_wake_before_run_once_is_not_lost(client: EventClient) -> None:
    """It makes the next one return."""
    client.wake()
    client.run_once(None)


@pytest.mark.parametrize("attached", [True, False])
def test_calls_of_other_threads_are_carried_out_by_the_driving_one(
    client: EventClient, identity: Identity, hub: Hub, attached: bool
) -> None:
    """And their promises are fulfilled there."""
    places: list[int] = []
    if attached:
        client.attach(hub)

    def call_some() -> None:
        for _ in range(20):
            client.call(send(identity)).then(lambda _: places.append(threading.get_ident()))

    threads = [threading.Thread(target=call_some) for _ in range(4)]
    for thread in threads:
        thread.start()
    until(lambda: len(places) == 80, hub.run_once if attached else lambda: client.run_once(0.5))
    for thread in threads:
        thread.join()
    assert set(places) == {threading.get_ident()}
    assert client.in_flight == 0


def test_a_callback_may_call_again(client: EventClient, identity: Identity, endpoint: Endpoint) -> None:
    """As a poller does, a thousand times if need be, and the stack does not grow."""
    left = 300

    def again(_: Reply) -> None:
        nonlocal left
        left -= 1
        if left:
            client.call(send(identity)).then(again)

    client.call(send(identity)).then(again)
    run_until(client, lambda: not left)
    assert endpoint.answered["SendMessage"] == 300


@pytest.mark.parametrize("attached", [True, False])
@pytest.mark.parametrize("error", [KeyError, Shutdown])
def test_what_a_callback_raises_comes_out_and_the_others_are_still_told(
    client: EventClient, identity: Identity, hub: Hub, endpoint: Endpoint, attached: bool, error: type[BaseException]
) -> None:
    """A worker's shutdown is raised in a callback; it must reach the loop, and lose no reply."""
    told: list[Reply] = []
    raised = 0

    def fail(_: Reply) -> None:
        raise error("stop")

    if attached:
        client.attach(hub)
    turn = hub.run_once if attached else lambda: client.run_once(0.5)
    for number in range(6):
        client.call(send(identity)).then(fail if number % 2 else told.append)
    end = monotonic() + 15
    while client.in_flight and monotonic() < end:
        try:
            turn()
        except error:
            raised += 1
            # A loop that was left by an exception is made anew, as Celery does.
            hub._loop = None
    assert (len(told), raised) == (3, 3)


def test_replies_behind_one_that_raises_need_no_other_event(client: EventClient, hub: Hub) -> None:
    """Nothing else may happen on the hub for a long time."""
    told: list[Reply] = []

    def fail(_: Reply) -> None:
        raise Shutdown

    client.attach(hub)
    unsigned = send(Identity(region="eu-central-1"))
    for callback in (fail, told.append):
        client.call(unsigned).then(callback)
    try:
        until(lambda: len(told) == 1, hub.run_once)
    except Shutdown:
        hub._loop = None
    until(lambda: len(told) == 1, hub.run_once)


def test_a_request_that_hangs_times_out_on_the_hub(
    client: EventClient, sessions: Sessions, identity: Identity, endpoint: Endpoint, hub: Hub
) -> None:
    """With no event but the deadline."""
    endpoint.fault("SendMessage", Hangs())
    client.attach(hub)
    sent = client.call(send(identity))
    until(lambda: sent.ready, hub.run_once)
    assert sent.value[0][0].failure.code == "Timeout"


def test_a_reset_hub_is_forgotten_and_may_be_attached_again(
    client: EventClient, identity: Identity, hub: Hub, endpoint: Endpoint
) -> None:
    """Celery resets the hub when a connection is lost; what was in flight goes on."""
    got: list[Reply] = []
    client.attach(hub)
    client.call(poll(identity)).then(got.append)
    until(lambda: endpoint.calls["ReceiveMessage"], hub.run_once)
    hub.reset()
    hub._loop = None
    assert (hub.readers, hub.writers, hub.on_close) == ({}, {}, set())
    endpoint.enqueue("kept")
    client.attach(hub)
    until(lambda: got, hub.run_once)
    assert got[0].value[0]["Body"] == "kept"


def test_a_detached_hub_keeps_nothing_of_ours(
    client: EventClient, identity: Identity, hub: Hub, endpoint: Endpoint
) -> None:
    """No descriptor, no callback; and the call goes on by itself."""
    got: list[Reply] = []
    client.attach(hub)
    client.call(poll(identity)).then(got.append)
    until(lambda: endpoint.calls["ReceiveMessage"], hub.run_once)
    client.detach()
    assert (hub.readers, hub.writers, hub.on_close) == ({}, {}, set())
    endpoint.enqueue("late")
    run_until(client, lambda: got)
    assert got[0].ok


def test_closing_answers_what_is_in_flight(client: EventClient, identity: Identity, endpoint: Endpoint) -> None:
    """With a failure that says so, each promise once; later calls get the same."""
    endpoint.fault("SendMessage", Hangs())
    got: list[Reply] = []
    for operation in (send(identity), poll(identity)):
        client.call(operation).then(got.append)
    until(lambda: endpoint.calls.total() == 2, lambda: client.run_once(0.1))
    client.call(send(identity)).then(got.append)
    client.close()
    client.call(send(identity)).then(got.append)
    client.close()
    failures = [reply.failure for reply in got]
    assert [(failure.kind, failure.code) for failure in failures if failure] == [(Kind.UNREACHABLE, "Closed")] * 4
    assert client.in_flight == 0


def test_closing_tells_everyone_though_a_callback_raises(client: EventClient, identity: Identity) -> None:
    """And then raises it."""
    told: list[Reply] = []

    def fail(_: Reply) -> None:
        raise KeyError("stop")

    for callback in (fail, told.append, fail, told.append):
        client.call(poll(identity)).then(callback)
    with pytest.raises(KeyError):
        client.close()
    assert len(told) == 2


def test_closing_in_another_thread_ends_a_wait(client: EventClient, identity: Identity, endpoint: Endpoint) -> None:
    """Nothing is left waiting for ever."""
    polled = client.call(poll(identity))
    closer = threading.Thread(target=lambda: (endpoint.wait_for("ReceiveMessage", 1), client.close()))
    closer.start()
    until(lambda: polled.ready, lambda: client.run_once(None))
    closer.join()


def test_an_operation_nobody_can_sign_is_a_failure(client: EventClient, sessions: Sessions) -> None:
    """Neither the call nor the loop raises."""
    got: list[Reply] = []
    for identity in (Identity(region="eu-central-1"), Identity(profile="nobody")):
        client.call(send(identity)).then(got.append)
    run_until(client, lambda: len(got) == 2)
    assert [reply.failure and reply.failure.kind for reply in got] == [Kind.CREDENTIALS] * 2


def test_what_nobody_expects_of_a_signature_is_a_failure_too(
    client: EventClient, identity: Identity, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """STS answered by a proxy, a credential process that prints nonsense: each call is answered, without the text."""
    got: list[Reply] = []

    def get(_: Identity) -> Any:
        raise KeyError("wJalrXUtnFEMI")

    monkeypatch.setattr(sessions, "get", get)
    client.call(send(identity)).then(got.append)
    run_until(client, lambda: got)
    assert got[0].failure is not None
    assert got[0].failure.kind is Kind.UNREACHABLE
    assert "wJalrXUtnFEMI" not in repr(got[0].failure)
    assert client.in_flight == 0


def test_expired_credentials_are_found_anew_for_the_next_call(
    client: EventClient, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call itself is not repeated: its caller has patience of its own."""
    identity = Identity(region="eu-central-1", endpoint_url=endpoint.url)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    endpoint.fault("SendMessage", Refused("ExpiredToken", 403), times=1)
    kinds = []
    for key in ("AKIAOLD", "AKIANEW"):
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
        sent = client.call(send(identity))
        run_until(client, lambda sent=sent: sent.ready)  # type: ignore[misc]
        failure = sent.value[0][0].failure
        kinds.append(failure and failure.kind)
    assert kinds == [Kind.EXPIRED, None]
    assert "Credential=AKIANEW/" in endpoint.requests[0].headers["authorization"]


def test_calls_race_a_close_and_each_is_answered_once(
    client: EventClient, identity: Identity, endpoint: Endpoint
) -> None:
    """Before it, while it is under way, or after it."""
    answers: list[int] = []

    def call_some(first: int) -> None:
        for number in range(first, first + 200):
            client.call(send(identity)).then(lambda _, number=number: answers.append(number))  # type: ignore[misc]

    callers = [threading.Thread(target=call_some, args=(first,)) for first in (0, 200, 400)]
    for caller in callers:
        caller.start()
    until(lambda: answers, lambda: client.run_once(0.1))
    closer = threading.Thread(target=client.close)
    closer.start()
    client.run_once(0.1)
    for thread in [closer, *callers]:
        thread.join()
    client.run_once(0)
    assert sorted(answers) == list(range(600))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_starts_afresh_and_leaves_the_parents_calls_alone(
    client: EventClient, identity: Identity, endpoint: Endpoint, hub: Hub
) -> None:
    """It works there at once; and the parent's poll, in flight through the fork, is answered in the parent."""
    client.attach(hub)
    polled = client.call(poll(identity))
    until(lambda: endpoint.calls["ReceiveMessage"], hub.run_once)
    child = os.fork()
    if child == 0:
        try:
            sent = client.call(send(identity, "from the child"))
            run_until(client, lambda: sent.ready)
            good = client.in_flight == 0 and sent.value[0][0].ok
            client.close()
            os._exit(0 if good else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    endpoint.enqueue("for the parent")
    until(lambda: polled.ready, hub.run_once)
    assert polled.value[0][0].value[0]["Body"] == "for the parent"
