"""The signs of life of this process: a count in a tag of one of its temporary queues."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from kombu_sns_sqs import quotas
from kombu_sns_sqs.aws.control import ControlPlane
from kombu_sns_sqs.errors import Kind
from kombu_sns_sqs.logs import fields
from kombu_sns_sqs.options import Options
from kombu_sns_sqs.sweeping.life_sign import LifeSign
from kombu_sns_sqs.temporary_names import first_of, is_found_by_name, mark_of
from kombu_sns_sqs.topology.entities import MARKS_TAG, SIGN_TAG, Queue
from kombu_sns_sqs.topology.temporaries import Temporaries

logger = logging.getLogger(__name__)

#: Queues that are tried for one sign, of those that turn out to be gone.
_ATTEMPTS: Final = 5
#: Marks of queues that a tag has room for, with a blank between them.
_MOST_MARKS: Final = quotas.MAX_TAG_VALUE // 15


class Pulse:
    """Gives them. Belongs to one thread.

    Args:
        on_gone: told of a queue of ours that somebody has deleted.
    """

    def __init__(
        self,
        *,
        control: ControlPlane,
        temporaries: Temporaries,
        options: Options,
        on_gone: Callable[[Queue], None],
    ) -> None:
        self._control = control
        self._temporaries = temporaries
        self._options = options
        self._on_gone = on_gone
        self._bearer: str | None = None
        self._count = 0
        self._failing = False

    def beat(self) -> bool:
        """Give a sign; False where it failed. It stays with one queue for as long as that is there.

        With it goes which queues are ours, of those whose names do not tell.
        """
        tried: set[str] = set()
        for _ in range(_ATTEMPTS):
            left = [queue for queue in self._temporaries.queues if queue.url not in tried]
            if not left:
                return not tried
            names = {_name(queue): queue for queue in left}
            prefix = self._options.queue_name_prefix
            queue = next((one for one in left if one.url == self._bearer), names[first_of(names, prefix)])
            sign = LifeSign(self._count + 1, self._options.sweep_period)
            tags = {SIGN_TAG: str(sign)}
            if marks := [mark_of(name) for name in names if is_found_by_name(name, prefix)][:_MOST_MARKS]:
                tags[MARKS_TAG] = " ".join(marks)
            reply = self._control.call(queue.identity, "sqs", "tag_queue", QueueUrl=queue.url, Tags=tags)
            if reply.failure is None:
                self._bearer, self._count, self._failing = queue.url, sign.count, False
                return True
            if reply.failure.kind is not Kind.MISSING:
                self._report(reply.failure)
                return False
            tried.add(queue.url)
            self._on_gone(queue)
        return False

    def _report(self, failure: object) -> None:
        if not self._failing:
            logger.warning(
                "no sign of life can be given, so that another process may take this one for dead and delete its"
                " temporary queues, which are then made again; sweep_period=0 does without signs: %s",
                failure,
                extra=fields("sign_of_life_failed", cause=failure),
            )
        self._failing = True


def _name(queue: Queue) -> str:
    return queue.url.rpartition("/")[2]
