"""Who is compared: a broker URL, its options, and how much of the work it can be given in the time there is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CONTENDERS", "OURS", "RABBITMQ", "REDIS", "TUNED", "Address", "Contender"]


@dataclass(frozen=True)
class Address:
    """What kombu is given to reach a broker."""

    url: str
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Contender:
    """A transport of kombu's under test.

    Attributes:
        name: what the command line and the results call it.
        server: what it talks to: ``aws``, ``redis`` or ``rabbitmq``.
        template: the broker URL, with ``{port}``, ``{key}`` and ``{secret}``.
        options: ``broker_transport_options``.
        share: the part of the messages of a benchmark it is given, 0 to 1; rates and costs are by message, so a
            contender that takes long needs fewer.
        fans_out: whether one publish can reach several queues of other processes.
        note: what to know about it, for the report.
    """

    name: str
    server: str
    template: str
    options: Mapping[str, Any] = field(default_factory=dict)
    share: float = 1.0
    fans_out: bool = True
    note: str = ""

    @property
    def aws(self) -> bool:
        """Whether its requests are AWS's, and paid for one by one."""
        return self.server == "aws"

    def messages(self, count: int) -> int:
        """Its part of so many messages, in whole tens and at least ten."""
        return max(10, round(count * self.share / 10) * 10)

    def address(self, *, port: int, key: str = "", secret: str = "") -> Address:
        """Where it finds its broker: that port of 127.0.0.1."""
        return Address(self.template.format(port=port, key=key, secret=secret), dict(self.options))


_REGION: Final = "us-east-1"

OURS: Final = Contender(
    name="sns-sqs",
    server="aws",
    template="sns-sqs://{key}:{secret}@127.0.0.1:{port}/",
    options={"region": _REGION},
    note="this transport, with its defaults",
)
SQS: Final = Contender(
    name="sqs",
    server="aws",
    template="sqs://{key}:{secret}@127.0.0.1:{port}",
    options={"region": _REGION, "is_secure": False},
    share=0.06,
    fans_out=False,
    note="kombu's, with its defaults: polls of 10 s, a second's pause after each that brought nothing",
)
TUNED: Final = Contender(
    name="sqs-tuned",
    server="aws",
    template="sqs://{key}:{secret}@127.0.0.1:{port}",
    options={
        "region": _REGION,
        "is_secure": False,
        "polling_interval": 0,
        "wait_time_seconds": 20,
        "sqs_base64_encoding": False,
    },
    share=0.06,
    fans_out=False,
    note="kombu's at its best: no pause between polls, polls of 20 s, bodies as text; no option batches its deletes",
)
REDIS: Final = Contender(
    name="redis",
    server="redis",
    template="redis://127.0.0.1:{port}/0",
    share=0.1,
    note="kombu's redis, with its defaults",
)
RABBITMQ: Final = Contender(
    name="rabbitmq",
    server="rabbitmq",
    template="amqp://guest:guest@127.0.0.1:{port}//",
    note="kombu's pyamqp, with its defaults",
)

#: All of them, in the order of the tables.
CONTENDERS: Final = {one.name: one for one in (OURS, SQS, TUNED, REDIS, RABBITMQ)}
