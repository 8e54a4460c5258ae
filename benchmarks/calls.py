"""What is paid for: requests for a task, for a broadcast, and for doing nothing."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

from benchmarks.benchmark import Benchmark
from benchmarks.contenders import OURS
from benchmarks.draining import drain, settle
from benchmarks.result import Figures, Mark, marks_of
from benchmarks.traffic import DATA_PLANE, IDLE_POLL

if TYPE_CHECKING:
    from benchmarks.contenders import Contender
    from benchmarks.testbed import Testbed

#: SQS's longest poll, in seconds: what shorter ones are scaled to.
_LONGEST_POLL: Final = 20
_FANNED_OUT: Final = 5
_IDLE_QUEUES: Final = 2


class Calls(Benchmark):
    """API calls of a task from ``delay()`` to its ack, of a broadcast, and of a quiet minute."""

    name = "calls"
    title = "API calls, idle polls left out unless they are the subject"

    def takes(self, contender: Contender) -> bool:
        """Calls are AWS's."""
        return contender.aws

    def measure(self, testbed: Testbed, contender: Contender, figures: Figures) -> None:
        """Publish and run tasks, both ways; broadcast."""
        tasks = contender.messages(testbed.sizes.publish)
        for way, condition in (("delay", "published one by one"), ("batch", "published in batches")):
            queue = testbed.new_name("calls")
            with testbed.phase(contender) as published:
                testbed.publish(contender, queue, tasks, way=way)
            drained = drain(testbed, contender, queue=queue, tasks=tasks, rtt=testbed.rtt)
            calls = published.traffic.calls + drained.traffic.calls
            for action in sorted(DATA_PLANE & calls.keys()):
                figures.add(contender.name, condition, action, calls[action] / tasks, "/task")
            total = published.traffic.data_calls + drained.traffic.data_calls
            figures.add(contender.name, condition, "all", total / tasks, "/task")
        if contender.fans_out:
            self._fan_out(testbed, contender, figures)

    def measure_together(self, testbed: Testbed, contenders: list[Contender], figures: Figures) -> None:
        """Let idle workers of all contenders be, and count their polls."""
        wait = testbed.sizes.idle_wait
        if wait is not None:
            # Shorter polls are scaled to the longest; that is true only where nothing else comes between two polls.
            contenders = [contender for contender in contenders if contender is OURS]
        options: dict[str, Any] = {} if wait is None else {"wait_time_seconds": wait}
        with testbed.round_trip(testbed.rtt), ExitStack() as stack:
            for contender in contenders:
                queues = [testbed.new_name("idle") for _ in range(_IDLE_QUEUES)]
                worker = stack.enter_context(testbed.worker(contender, queues[0], queues=queues, **options))
                worker.wait_until_ready()
            # What a start brings along is over then, and polls have their full length.
            time.sleep(min(testbed.sizes.idle_seconds, _LONGEST_POLL) / 4)
            before = {contender.name: testbed.traffic(contender) for contender in contenders}
            time.sleep(testbed.sizes.idle_seconds)
            for contender in contenders:
                calls = testbed.traffic(contender).calls - before[contender.name].calls
                minutes = testbed.sizes.idle_seconds / 60
                scale = 1.0 if wait is None else wait / _LONGEST_POLL
                polls = calls[IDLE_POLL] / minutes / _IDLE_QUEUES * scale
                others = (calls.total() - calls[IDLE_POLL]) / minutes
                figures.add(contender.name, "idle", "polls", polls, "/min and queue")
                figures.add(contender.name, "idle", "other calls", others, "/min")

    def marks(self, figures: Figures, testbed: Testbed) -> tuple[Mark, ...]:
        """Three calls for ten tasks, and polls as long as they can be."""
        return marks_of(
            ("calls a task, published in batches", figures.value("sns-sqs", "published in batches", "all"), "<=", 0.35),
            ("calls a task, published one by one", figures.value("sns-sqs", "published one by one", "all"), "<=", 1.25),
            (f"calls to reach {_FANNED_OUT} queues", figures.value("sns-sqs", "fan-out", "publishes"), "<=", 1),
            ("idle polls a minute and queue", figures.value("sns-sqs", "idle", "polls"), "<=", 3),
        )

    @staticmethod
    def _fan_out(testbed: Testbed, contender: Contender, figures: Figures) -> None:
        exchange = testbed.new_name("fan")
        queues = [f"{exchange}-{number}" for number in range(_FANNED_OUT)]
        settings: dict[str, Any] = {"queues": queues, "exchange": exchange, "stamped": _FANNED_OUT}
        with (
            testbed.program("consumer", contender, **settings) as consumer,
            testbed.program("publisher", contender) as publisher,
        ):
            consumer.hear(60)
            settle(testbed, contender)
            with testbed.phase(contender) as phase:
                publisher.tell(exchange=exchange, stamped=True)
                publisher.hear(60)
                consumer.hear(60)
                settle(testbed, contender)
        sent = {"Publish", "PublishBatch", "SendMessage", "SendMessageBatch"}
        publishes = sum(phase.traffic.calls[action] for action in sent)
        figures.add(contender.name, "fan-out", "queues", _FANNED_OUT, "")
        figures.add(contender.name, "fan-out", "publishes", publishes, "")
