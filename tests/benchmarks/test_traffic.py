"""What the relay reads out of a connection."""

from __future__ import annotations

import pytest

from benchmarks.traffic import IDLE_POLL, Conversation, HttpStream, Traffic

SEND = b'POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: AmazonSQS.SendMessage\r\nContent-Length: 4\r\n\r\n{"a"'
RECEIVE = b"POST / HTTP/1.1\r\nx-amz-target: AmazonSQS.ReceiveMessage\r\ncontent-length: 0\r\n\r\n"
PUBLISH = b"POST / HTTP/1.1\r\nContent-Length: 25\r\n\r\nVersion=1&Action=Publish&x"
EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
FULL = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11\r\n{"ReceiptHandle":\r\n2\r\n1}\r\n0\r\n\r\n'
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def conversation(traffic: Traffic) -> Conversation:
    """A conversation in AWS's protocols."""
    return Conversation(traffic, aws=True)


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_messages_are_found_however_the_bytes_are_cut(step: int) -> None:
    """Requests that arrive byte by byte are the same as those that arrive at once."""
    stream = HttpStream()
    data = SEND + RECEIVE + PUBLISH
    found = [message for start in range(0, len(data), step) for message in stream.feed(data[start : start + step])]
    assert [body for _, body in found] == [b'{"a"', b"", b"Version=1&Action=Publish&"]


def test_a_chunked_body_ends_with_its_last_chunk() -> None:
    """What follows belongs to the next message."""
    stream = HttpStream()
    assert len(stream.feed(FULL[:-1])) == 0
    assert len(stream.feed(FULL[-1:] + EMPTY)) == 2


def test_requests_are_counted_by_action_when_they_are_answered() -> None:
    """JSON and Query protocol alike; one without an answer is not counted yet."""
    traffic = Traffic()
    talk = conversation(traffic)
    talk.said_by_client(SEND + PUBLISH[:-1] + SEND)
    assert traffic.calls == {}
    talk.said_by_broker(EMPTY + CONTINUE + EMPTY)
    assert traffic.calls == {"SendMessage": 1, "Publish": 1}


def test_a_poll_that_brought_nothing_is_told_from_one_that_did() -> None:
    """The idle one is no call of the data plane."""
    traffic = Traffic()
    talk = conversation(traffic)
    talk.said_by_client(RECEIVE + RECEIVE)
    talk.said_by_broker(EMPTY + FULL)
    assert traffic.calls == {IDLE_POLL: 1, "ReceiveMessage": 1}
    assert traffic.data_calls == 1


def test_other_protocols_are_counted_in_bytes_and_pieces() -> None:
    """Nothing is read into them."""
    traffic = Traffic()
    talk = Conversation(traffic, aws=False)
    talk.said_by_client(b"AMQP")
    talk.said_by_client(b"\x00\x00\x09\x01")
    talk.said_by_broker(b"\x01")
    assert (traffic.bytes_up, traffic.writes_up, traffic.bytes_down, traffic.writes_down) == (8, 2, 1, 1)
    assert traffic.calls == {}
