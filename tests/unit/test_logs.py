"""What log lines say to machines, and how often."""

from __future__ import annotations

import logging
from typing import Any

from kombu_sns_sqs.errors import Failure, Kind
from kombu_sns_sqs.identity import Identity
from kombu_sns_sqs.logs import PREFIX, Seldom, fields
from kombu_sns_sqs.receiving import arrivals
from kombu_sns_sqs.receiving.reports import PollReports
from kombu_sns_sqs.settling.outbox import Entry, Verb
from kombu_sns_sqs.settling.reports import Reports
from kombu_sns_sqs.topology.entities import Queue
from tests.unit.test_deaths import death

THROTTLED = Failure(kind=Kind.THROTTLED, code="Slow", action="ReceiveMessage", status=400)
DENIED = Failure(kind=Kind.DENIED, code="AccessDenied", action="ReceiveMessage", status=403)


def test_fields_have_names_that_no_log_record_has() -> None:
    """Python refuses extra fields that hide its own."""
    own = vars(logging.makeLogRecord({})).keys() | {"message", "asctime"}
    told = fields("event", name="n", message="m", args=1)
    assert own & told.keys() == set()
    assert told == {f"{PREFIX}event": "event", f"{PREFIX}name": "n", f"{PREFIX}message": "m", f"{PREFIX}args": 1}


def test_a_cause_is_told_by_its_code_and_not_by_its_words() -> None:
    """Of a failure what AWS calls it, of an exception its class: what a search can be for."""
    assert fields("e", cause=DENIED) == {
        "sns_sqs_event": "e",
        "sns_sqs_error": "AccessDenied",
        "sns_sqs_action": "ReceiveMessage",
        "sns_sqs_status": 403,
    }
    assert fields("e", cause=ValueError("words")) == {"sns_sqs_event": "e", "sns_sqs_error": "ValueError"}
    assert fields("e", cause="no time was left") == {"sns_sqs_event": "e"}


def test_a_line_a_minute_speaks_for_all_of_its_kind() -> None:
    """It says how many there were since the last one; other kinds are not held back by it."""
    now = [100.0]
    seldom = Seldom(60, clock=lambda: now[0])
    assert [seldom.count("a") for _ in range(3)] == [1, 0, 0]
    assert seldom.count("b") == 1
    now[0] += 60
    assert seldom.count("a") == 3
    assert seldom.count("a") == 0


def test_kinds_without_end_take_no_memory_without_end() -> None:
    """Queues may come by the thousand."""
    seldom = Seldom()
    for number in range(5000):
        seldom.count(number)
    assert len(vars(seldom)["_kinds"]) <= 1000


def test_polls_that_fail_by_turns_are_two_lines(caplog: Any) -> None:
    """Not two for each poll; another cause has a line of its own."""
    caplog.set_level(logging.INFO, "kombu_sns_sqs")
    reports = PollReports("q")
    for _ in range(5):
        reports.failed(THROTTLED)
        reports.worked()
    reports.failed(DENIED)
    told = [
        (record.levelname, vars(record)["sns_sqs_event"], vars(record)["sns_sqs_queue"]) for record in caplog.records
    ]
    assert told == [
        ("WARNING", "receive_failed", "q"),
        ("INFO", "receive_resumed", "q"),
        ("ERROR", "receive_failed", "q"),
    ]


def test_a_mass_of_messages_that_cannot_be_deleted_is_one_line(caplog: Any) -> None:
    """With an example; what is no longer ours is told apart from what failed."""
    caplog.set_level(logging.INFO, "kombu_sns_sqs")
    reports, delivery = Reports(), death().delivery
    for _ in range(3):
        reports.not_settled(Verb.DELETE, Entry(delivery, "url", "h"), THROTTLED)
    stale = Failure(kind=Kind.STALE_RECEIPT, code="ReceiptHandleIsInvalid")
    reports.not_settled(Verb.DELETE, Entry(delivery, "url", "h"), stale)
    told = [
        (record.levelname, vars(record)["sns_sqs_event"], vars(record)["sns_sqs_message_id"])
        for record in caplog.records
    ]
    assert told == [("WARNING", "settle_failed", "m"), ("INFO", "receipt_stale", "m")]


def test_a_message_that_says_it_is_ours_and_cannot_be_read_is_told(caplog: Any) -> None:
    """Once a minute and queue, without what is in it; a stranger's message is ordinary."""
    queue = Queue(name="q-undecodable", urls=("u",), arn="a", identity=Identity())
    raw = {
        "MessageId": "m",
        "ReceiptHandle": "h",
        "Body": "SECRET",
        "MessageAttributes": {"kombu": {"StringValue": "1"}},
    }
    deliveries = [arrivals.read(raw, queue=queue, url="u") for _ in range(2)]
    deliveries.append(arrivals.read({**raw, "MessageAttributes": {}}, queue=queue, url="u"))
    assert [delivery.content.foreign for delivery in deliveries] == [True] * 3
    (record,) = caplog.records
    assert (vars(record)["sns_sqs_event"], vars(record)["sns_sqs_message_id"]) == ("undecodable", "m")
    assert "SECRET" not in str(vars(record))
