"""Which scenario is skipped on which broker, and why: the only place where conformance is not demanded.

A key is (scenario, broker): the scenario is ``module::test``, or ``module::test[row]`` for one row of a table. A value
says what the broker does differently, in words a user of that broker can act on.
"""

from __future__ import annotations

#: (scenario, broker) -> reason
_AUTO_DELETE = (
    "An auto-delete queue with a name that other processes may declare, too, is left in place: SQS cannot tell whether "
    "anybody else consumes from it. Declare it exclusive, or give it a name with a UUID in it, and it goes."
)

SKIPS: dict[tuple[str, str], str] = {
    (scenario, broker): _AUTO_DELETE
    for broker in ("ministack", "moto", "localstack")
    for scenario in (
        "test_temporary_queues::test_temporary_queue_of_a_process_is_gone_with_the_process[auto-delete]",
        "test_temporary_queues::test_auto_delete_queue_is_gone_when_its_last_consumer_leaves",
    )
}
