"""A running service: it answers, on loopback only, and says what is wrong when it does not come up."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from kombu_sns_sqs.local import LocalService, LocalServiceError, emulators, sockets
from kombu_sns_sqs.local.service import answering
from tests.unit.local.processes import alive, each_emulator, needs_proc, python

if TYPE_CHECKING:
    from collections.abc import Callable


@each_emulator
def test_a_started_service_answers_as_sns_and_sqs(emulator: str) -> None:
    """A message published to a topic arrives in the subscribed queue."""
    with LocalService.start(emulator=emulator) as service:
        sqs, sns = _client(service, "sqs"), _client(service, "sns")
        queue = sqs.create_queue(QueueName="q")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        topic = sns.create_topic(Name="t")["TopicArn"]
        policy = {"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}]}
        sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps(policy)})
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
        sns.publish(TopicArn=topic, Message="hello")
        received = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=10)["Messages"]
        assert [message["Body"] for message in received] == ["hello"]


@each_emulator
def test_a_stopped_service_is_gone(emulator: str, litter: Path) -> None:
    """After ``stop`` no process, port or file is left, and a second ``stop`` does no harm."""
    service = LocalService.start(emulator=emulator)
    assert emulator == service.emulator
    assert service.running
    service.stop()
    service.stop()
    assert not service.running
    assert not alive(service.pid)
    assert answering(service.endpoint_url) is None
    assert list(litter.iterdir()) == []


@needs_proc
@each_emulator
def test_it_listens_on_the_loopback_interface_only(emulator: str) -> None:
    """The kernel lists its port, and no port of it on any other address."""
    with LocalService.start(emulator=emulator) as service:
        assert service.pid is not None
        assert {_port(service): True} == sockets.listening(os.getsid(service.pid))


@pytest.mark.skipif(sys.byteorder != "little", reason="the kernel writes addresses in the machine's byte order")
@pytest.mark.parametrize(
    ("address", "loopback"),
    [
        pytest.param("0100007F", True, id="127.0.0.1"),
        pytest.param("0201007F", True, id="127.0.1.2"),
        pytest.param("00000000", False, id="0.0.0.0"),
        pytest.param("7F00000A", False, id="10.0.0.127"),
        pytest.param("00000000000000000000000001000000", True, id="::1"),
        pytest.param("0000000000000000FFFF00000100007F", True, id="::ffff:127.0.0.1"),
        pytest.param("00000000000000000000000000000000", False, id="::"),
        pytest.param("0000000000000000FFFF0000050200C0", False, id="::ffff:192.0.2.5"),
    ],
)
def test_an_address_beyond_loopback_is_told_apart(address: str, loopback: bool) -> None:
    """In the form in which Linux lists it."""
    assert loopback is sockets.on_loopback(address)


@needs_proc
def test_an_emulator_that_listens_beyond_loopback_is_refused_and_ended(
    fake: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is stopped before anybody can use it. No address is called loopback here, so that the test exposes nothing."""
    monkeypatch.setattr(sockets, "on_loopback", lambda _: False)
    pid_file = fake(
        "import socket, time",
        "listener = socket.create_server(('127.0.0.1', int(os.environ['GATEWAY_PORT'])))",
        "time.sleep(600)",
    )
    with pytest.raises(LocalServiceError, match="beyond the loopback interface"):
        LocalService.start(emulator="ministack")
    assert not alive(int(pid_file.read_text()))


def test_what_a_failing_emulator_wrote_is_in_the_error(fake: Callable[..., Path]) -> None:
    """The message names the emulator, its status and its last words."""
    fake("raise SystemExit('no more room')")
    with pytest.raises(LocalServiceError, match=r"(?s)ministack ended with status 1.*no more room"):
        LocalService.start(emulator="ministack")


def test_an_emulator_that_never_answers_is_given_up_and_ended(fake: Callable[..., Path]) -> None:
    """The wait is bounded, and what was waited for does not stay behind."""
    pid_file = fake("import time", "print('thinking', flush=True)", "time.sleep(600)")
    with pytest.raises(LocalServiceError, match=r"(?s)does not answer.*thinking"):
        LocalService.start(emulator="ministack", timeout=2)
    assert not alive(int(pid_file.read_text()))


def test_no_key_of_the_user_reaches_the_emulator(fake: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the user's AWS settings nothing is passed on: the emulator sees the throwaway key alone."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the user's own")
    monkeypatch.setenv("AWS_PROFILE", "production")
    fake("import os", "raise SystemExit(str({k: v for k, v in os.environ.items() if k.startswith('AWS_')}))")
    with pytest.raises(LocalServiceError) as caught:
        LocalService.start(emulator="ministack")
    assert "'AWS_SECRET_ACCESS_KEY': 'test'" in str(caught.value)
    assert "the user's own" not in str(caught.value)
    assert "AWS_PROFILE" not in str(caught.value)


def test_a_port_that_is_taken_is_an_error() -> None:
    """A port asked for by number is used or refused, never exchanged for another."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(LocalServiceError):
        LocalService.start(port=taken.getsockname()[1], timeout=10)


def test_without_an_emulator_the_error_says_how_to_install_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment with neither emulator is told the extra by name."""
    monkeypatch.delenv(emulators.MINISTACK_VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    code = (
        "import sys, importlib.util as u; real = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name in ('ministack', 'moto') else real(name, *rest)\n"
        f"sys.executable = {str(tmp_path / 'python')!r}\n"
        "from kombu_sns_sqs.local import LocalService; LocalService.start()"
    )
    done = python(code, check=False)
    assert done.returncode != 0
    assert "with its extra 'local'" in done.stderr


def test_an_executable_that_is_named_and_missing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong KOMBU_SNS_SQS_MINISTACK is reported, not passed over in favour of another emulator."""
    monkeypatch.setenv(emulators.MINISTACK_VARIABLE, "/nowhere/ministack")
    with pytest.raises(LocalServiceError, match="KOMBU_SNS_SQS_MINISTACK names '/nowhere/ministack'"):
        LocalService.start()


def test_an_unknown_emulator_is_an_error_that_names_the_known() -> None:
    """A misspelt name gets the list."""
    with pytest.raises(LocalServiceError, match="ministack, moto"):
        LocalService.start(emulator="ministak")


def _port(service: LocalService) -> int:
    return int(service.endpoint_url.rpartition(":")[2])


def _client(service: LocalService, name: str) -> Any:
    return boto3.client(
        name,
        endpoint_url=service.endpoint_url,
        region_name=service.region,
        aws_access_key_id=service.access_key,
        aws_secret_access_key=service.secret_key,
    )
