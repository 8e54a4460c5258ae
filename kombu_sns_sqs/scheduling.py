"""What is scheduled: counted, since Celery's ``inspect scheduled`` sees only what a worker holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kombu_sns_sqs.errors import NotFound

if TYPE_CHECKING:
    from kombu import Connection

__all__ = ("scheduled",)


def scheduled(connection: Connection, queue: str) -> int:
    """Count the messages that SQS keeps for a queue until they are due.

    The count is approximate, as all of SQS's are, and some seconds old. It is of all processes' messages; what a worker
    holds, for the last moments or with ``eta_by_sqs=False``, is not among them.

    Args:
        connection: a connection to ``sns-sqs://``, such as ``app.connection_for_read()``.
        queue: the queue's name in AMQP.

    Raises:
        NotFound: there is no such queue.
        Error: the service does not answer, or refuses.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html
    """
    connection.ensure_connection()
    services = connection.connection.services
    found = services.directory.look_up_queue(queue)
    if found is None:
        raise NotFound(f"NOT_FOUND - no queue {queue!r}")
    return int(services.companions.count(services.provisioner.complete(found)))
