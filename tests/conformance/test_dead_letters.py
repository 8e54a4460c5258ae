"""A message that is refused, expires, or is delivered too often goes where its queue was told to send it."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING, Any

import pytest
from kombu import Exchange, Queue

from .waiting import eventually

if TYPE_CHECKING:
    from kombu import Message, Producer

    from .expectations import Expectation
    from .fixtures import Declare, Names

#: Seconds a message lives where its subject is to expire, and after which it is looked for.
SHORT, WAIT = 1.0, 2.5


def dead_letters_to(exchange: str, key: str | None = None, **more: Any) -> dict[str, Any]:
    """Arguments of a queue."""
    arguments = {"x-dead-letter-exchange": exchange, **more}
    return arguments if key is None else {**arguments, "x-dead-letter-routing-key": key}


def reject(queue: Any) -> None:
    """Take a message of a queue and refuse it."""
    eventually(queue.get).reject()


def history(message: Message) -> list[dict[str, Any]]:
    """What ``x-death`` says, but for the time."""
    return [{name: value for name, value in death.items() if name != "time"} for death in message.headers["x-death"]]


@pytest.fixture
def grave(declare: Declare, names: Names) -> Any:
    """A queue that takes whatever key its exchange is given."""
    return declare(Queue(names("grave"), Exchange(names("dead"), type="topic"), routing_key="#"))


def test_rejected_message_goes_to_the_dead_letter_exchange(
    declare: Declare, names: Names, producer: Producer, grave: Any, expect: Expectation
) -> None:
    """And is gone from its queue."""
    queue = declare(Queue(names("q"), queue_arguments=dead_letters_to(grave.exchange.name)))
    producer.publish("hello", routing_key=queue.name)
    reject(queue)
    expect((grave, ["hello"]), (queue, []))


def test_acknowledged_and_requeued_messages_do_not(
    declare: Declare, names: Names, producer: Producer, grave: Any, expect: Expectation
) -> None:
    """Only a refusal for good is one."""
    queue = declare(Queue(names("q"), queue_arguments=dead_letters_to(grave.exchange.name)))
    producer.publish("hello", routing_key=queue.name)
    eventually(queue.get).requeue()
    eventually(queue.get).ack()
    expect((grave, []), (queue, []))


def test_dead_letter_says_what_happened(declare: Declare, names: Names, producer: Producer, grave: Any) -> None:
    """``x-death`` has queue, reason, exchange and key; the first death has headers of its own."""
    source = Exchange(names("orders"), type="direct")
    queue = declare(Queue(names("q"), source, "new", queue_arguments=dead_letters_to(grave.exchange.name)))
    producer.publish("hello", exchange=source.name, routing_key="new", headers={"mine": 1})
    reject(queue)
    letter = eventually(grave.get)
    assert history(letter) == [
        {"count": 1, "reason": "rejected", "queue": queue.name, "exchange": source.name, "routing-keys": ["new"]}
    ]
    died = letter.headers["x-death"][0]["time"]
    assert abs(died - dt.datetime.now(dt.timezone.utc).replace(tzinfo=None)).total_seconds() < 60
    assert {name: value for name, value in letter.headers.items() if name != "x-death"} == {
        "mine": 1,
        "x-first-death-reason": "rejected",
        "x-first-death-queue": queue.name,
        "x-first-death-exchange": source.name,
    }


def test_dead_letter_keeps_its_routing_key(declare: Declare, names: Names, producer: Producer, grave: Any) -> None:
    """Unless the queue gives it another."""
    queue = declare(Queue(names("q"), queue_arguments=dead_letters_to(grave.exchange.name)))
    producer.publish("hello", routing_key=queue.name)
    reject(queue)
    letter = eventually(grave.get)
    assert (letter.delivery_info["exchange"], letter.delivery_info["routing_key"]) == (grave.exchange.name, queue.name)


def test_dead_letter_gets_the_routing_key_of_the_queue(
    declare: Declare, names: Names, producer: Producer, expect: Expectation
) -> None:
    """A direct exchange of dead letters parts them by it."""
    dead = Exchange(names("dead"), type="direct")
    bad, other = declare(Queue(names("bad"), dead, "bad")), declare(Queue(names("other"), dead, "other"))
    queue = declare(Queue(names("q"), queue_arguments=dead_letters_to(dead.name, "bad")))
    producer.publish("hello", routing_key=queue.name)
    reject(queue)
    expect((bad, ["hello"]), (other, []))


def test_the_default_exchange_takes_dead_letters_to_a_queue(declare: Declare, names: Names, producer: Producer) -> None:
    """The one that the routing key names."""
    grave = declare(Queue(names("grave")))
    queue = declare(Queue(names("q"), queue_arguments=dead_letters_to("", grave.name)))
    producer.publish({"some": "json"}, routing_key=queue.name, priority=3, correlation_id="c")
    reject(queue)
    letter = eventually(grave.get)
    assert letter.payload == {"some": "json"}
    assert letter.properties["correlation_id"] == "c"
    assert (letter.delivery_info["exchange"], letter.delivery_info["routing_key"]) == ("", grave.name)


def test_a_fanout_of_dead_letters_reaches_all_its_queues(
    declare: Declare, names: Names, producer: Producer, expect: Expectation
) -> None:
    """It is a publish like any other."""
    dead = Exchange(names("dead"), type="fanout")
    graves = [declare(Queue(names(word), dead)) for word in ("one", "two")]
    queue = declare(Queue(names("q"), queue_arguments=dead_letters_to(dead.name)))
    for number in range(3):
        producer.publish(number, routing_key=queue.name)
    for _ in range(3):
        reject(queue)
    expect((graves[0], [0, 1, 2]), (graves[1], [0, 1, 2]), (queue, []))


def test_the_second_death_in_a_queue_counts_up(declare: Declare, names: Names, producer: Producer) -> None:
    """One entry for each queue and reason, the last death first, the first one never forgotten."""
    first, second = names("first"), names("second")
    one = declare(Queue(first, queue_arguments=dead_letters_to("", second)))
    two = declare(Queue(second, queue_arguments=dead_letters_to("", first)))
    producer.publish("hello", routing_key=first)
    for queue in (one, two, one):
        reject(queue)
    letter = eventually(two.get)
    assert [(death["queue"], death["count"]) for death in history(letter)] == [(first, 2), (second, 1)]
    assert letter.headers["x-first-death-queue"] == first


@pytest.mark.ttl
def test_expired_messages_go_to_the_dead_letter_exchange(
    declare: Declare, names: Names, producer: Producer, grave: Any
) -> None:
    """Whether the queue or the message set the time; it does not expire a second time."""
    queue = declare(
        Queue(names("q"), message_ttl=SHORT, queue_arguments=dead_letters_to(grave.exchange.name, "by queue"))
    )
    own = declare(Queue(names("own"), queue_arguments=dead_letters_to(grave.exchange.name, "by message")))
    producer.publish("queue", routing_key=queue.name)
    producer.publish("message", routing_key=own.name, expiration=SHORT)
    time.sleep(WAIT)
    assert queue.get() is None
    assert own.get() is None
    letters = {letter.payload: letter for letter in (eventually(grave.get), eventually(grave.get))}
    assert [(death["queue"], death["reason"]) for death in history(letters["queue"])] == [(queue.name, "expired")]
    (death,) = history(letters["message"])
    assert (death["queue"], death["reason"]) == (own.name, "expired")
    assert death["original-expiration"] == str(int(SHORT * 1000))
    assert "expiration" not in letters["message"].properties


@pytest.mark.ttl
def test_a_circle_in_which_nobody_rejects_ends(
    declare: Declare, names: Names, producer: Producer, expect: Expectation
) -> None:
    """A message that expires into its own queue would do so for ever."""
    name = names("q")
    queue = declare(Queue(name, message_ttl=SHORT, queue_arguments=dead_letters_to("", name)))
    producer.publish("hello", routing_key=name)
    time.sleep(WAIT)
    expect((queue, []))


def test_a_circle_with_a_reject_in_it_goes_on(declare: Declare, names: Names, producer: Producer) -> None:
    """Somebody decides there."""
    name = names("q")
    queue = declare(Queue(name, queue_arguments=dead_letters_to("", name)))
    producer.publish("hello", routing_key=name)
    for _ in range(3):
        reject(queue)
    assert [death["count"] for death in history(eventually(queue.get))] == [3]


def test_delivery_limit_ends_a_loop_of_requeues(declare: Declare, names: Names, producer: Producer) -> None:
    """With a limit of two a message is delivered once and twice again; then it is a dead letter."""
    grave = declare(Queue(names("grave")))
    arguments = dead_letters_to("", grave.name, **{"x-queue-type": "quorum", "x-delivery-limit": 2})
    queue = declare(Queue(names("q"), queue_arguments=arguments))
    producer.publish("hello", routing_key=queue.name)
    for _ in range(3):
        eventually(queue.get).requeue()
    (death,) = history(eventually(lambda: queue.get() or grave.get()))
    assert (death["queue"], death["reason"], death["count"]) == (queue.name, "delivery_limit", 1)


@pytest.mark.parametrize(
    "arguments",
    [{"x-dead-letter-exchange": 1}, {"x-dead-letter-routing-key": "key"}],
    ids=lambda arguments: next(iter(arguments)),
)
def test_arguments_that_make_no_sense_are_a_406(connection: Any, names: Names, arguments: dict[str, Any]) -> None:
    """A channel error with the reply code PRECONDITION_FAILED."""
    with pytest.raises(connection.channel_errors) as failure:
        Queue(names("q"), queue_arguments=arguments, channel=connection.channel()).declare()
    assert failure.value.reply_code == 406
