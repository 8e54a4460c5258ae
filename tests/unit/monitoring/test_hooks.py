"""Hooks: how they are found, when they are called, and that they can do no harm."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from kombu_sns_sqs import Hooks
from kombu_sns_sqs.aws.operation import BatchResult
from kombu_sns_sqs.aws.reply import Reply
from kombu_sns_sqs.errors import Failure, Kind, OptionsError
from kombu_sns_sqs.monitoring.hooks import ApiCall, Published, Received, Settled
from kombu_sns_sqs.monitoring.naming import template_of
from kombu_sns_sqs.monitoring.watch import Watch
from tests.unit.test_deaths import death
from tests.unit.test_options import read

if TYPE_CHECKING:
    from collections.abc import Callable

DELIVERY = death().delivery


class Listening(Hooks):
    """Listens to publications alone."""

    def __init__(self) -> None:
        self.heard: list[Published] = []

    def on_publish(self, published: Published) -> None:
        """Take it down."""
        self.heard.append(published)


class Broken(Hooks):
    """Raises whatever it hears of."""

    def on_receive(self, received: Received) -> None:
        """Fail."""
        raise ZeroDivisionError(received.queue)

    def on_settle(self, settled: Settled) -> None:
        """Fail."""
        raise ZeroDivisionError(settled.how)


class Choosy(Hooks):
    """Cannot be made without an argument."""

    def __init__(self, argument: int) -> None:
        self.argument = argument


class Equal(Hooks):
    """Has no hash."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return True


listening = Listening()


def test_what_nobody_listens_to_is_not_called() -> None:
    """Whoever would tell sees that there is nobody to tell: without hooks, and for each method not overridden."""
    nobody, somebody = Watch(), Watch(Listening())
    assert [nobody.publish, nobody.receive, nobody.settle, nobody.lease_lost, nobody.api_call] == [None] * 5
    assert somebody.publish is not None
    assert [somebody.receive, somebody.settle, somebody.lease_lost, somebody.api_call] == [None] * 4


def test_a_hook_that_raises_is_logged_once_for_each_method_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing of it comes out: messages depend on who calls it. The log line says which method, with a traceback."""
    watch = Watch(Broken())
    assert watch.receive is not None
    assert watch.settle is not None
    for _ in range(3):
        watch.receive(DELIVERY)
    watch.settle(DELIVERY, "ack")
    assert watch.failures == {"on_receive": 3, "on_settle": 1}
    told = [(vars(record)["sns_sqs_event"], vars(record)["sns_sqs_hook"]) for record in caplog.records]
    assert told == [("hook_failed", "on_receive"), ("hook_failed", "on_settle")]
    assert caplog.text.count("raise ZeroDivisionError") == 2


@pytest.mark.parametrize(
    ("value", "messages", "failed"),
    [
        ([{}, {}], 2, 0),
        ([], 0, 0),
        ("id", 1, 0),
        (BatchResult(succeeded={"0": "m", "1": "m"}, failed={"2": Failure(kind=Kind.THROTTLED, code="X")}), 2, 1),
        (None, 0, 0),
        ({"QueueUrl": "u"}, 0, 0),
    ],
)
def test_a_call_counts_the_messages_of_its_answer(value: Any, messages: int, failed: int) -> None:
    """Whatever the action answers with; an answer that is a failure has none."""
    call = ApiCall.of(Reply(value=value), service="sqs", action="A", seconds=1.0)
    assert (call.messages, call.failed, call.error) == (messages, failed, None)


@pytest.mark.parametrize(
    ("how", "found"),
    [
        (lambda: listening, lambda hooks: hooks is listening),
        (lambda: f"{__name__}:listening", lambda hooks: isinstance(hooks, Listening)),
        (lambda: f"{__name__}.Listening", lambda hooks: isinstance(hooks, Listening)),
        (lambda: Listening, lambda hooks: isinstance(hooks, Listening)),
        (lambda: "prometheus", lambda hooks: type(hooks).__name__ == "PrometheusHooks"),
        (lambda: "opentelemetry", lambda hooks: type(hooks).__name__ == "OpenTelemetryHooks"),
    ],
)
def test_hooks_are_an_object_a_class_a_path_or_the_name_of_an_adapter(
    how: Callable[[], Any], found: Callable[[Any], bool]
) -> None:
    """Read twice, as for two connections, it is one object: the options are the same, and each metric is made once."""
    options = read(hooks=how())
    assert found(options.hooks)
    assert read(hooks=how()) == options


def test_hooks_can_be_named_in_the_url() -> None:
    """By the same words."""
    assert read("sns-sqs://?hooks=prometheus").hooks is read(hooks="prometheus").hooks


@pytest.mark.parametrize("wrong", [7, print, "no_such_module:hooks", "os.path:nothing", "os.path:basename", dict])
def test_what_is_no_hooks_is_an_error_at_once(wrong: Any) -> None:
    """It says what the option takes."""
    with pytest.raises(OptionsError, match="hooks"):
        read(hooks=wrong)


def test_hooks_that_cannot_be_made_or_told_apart_are_an_error() -> None:
    """A class with arguments, and an object without a hash."""
    with pytest.raises(OptionsError, match="Choosy could not be made"):
        read(hooks=Choosy)
    with pytest.raises(OptionsError, match="no hash"):
        read(hooks=Equal())


def test_an_adapter_whose_library_is_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the extra's name."""
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    monkeypatch.delitem(sys.modules, "kombu_sns_sqs.monitoring.prometheus", raising=False)
    with pytest.raises(OptionsError, match="with its extra 'prometheus'"):
        read(hooks="prometheus")


def test_names_that_differ_in_every_process_are_one_label() -> None:
    """UUIDs in either form; other names stay."""
    uuid = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
    assert template_of(f"{uuid}.reply.celery.pidbox") == "{uuid}.reply.celery.pidbox"
    assert template_of(f"celeryev.{uuid}") == "celeryev.{uuid}"
    assert template_of(uuid.replace("-", "")) == "{uuid}"
    assert template_of("celery@web-7d9f8b6c5-x2x9z.example.celery.pidbox") == "{node}.celery.pidbox"
    assert template_of("a@b") == "a@b"
