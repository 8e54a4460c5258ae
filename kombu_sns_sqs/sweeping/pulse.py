"""The signs of life of this process: a count in a tag of one of its temporary queues."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable
from typing import Final

from kombu_sns_sqs import quotas
from kombu_sns_sqs.aws.control import ControlPlane
from kombu_sns_sqs.errors import Kind
from kombu_sns_sqs.logs import fields
from kombu_sns_sqs.options import Options
from kombu_sns_sqs.sweeping.life_sign import LifeSign
from kombu_sns_sqs.temporary_names import first_of, is_found_by_name, is_swept, mark_of
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
        self._bearer = ""
        self._count = 0
        self._failing = False

    @property
    def bearers(self) -> dict[str, Queue]:
        """The queues that can bear a sign, by name: a sweeper finds them. Others are not swept, and need none."""
        named = {queue.url.rpartition("/")[2]: queue for queue in self._temporaries.queues}
        return {name: queue for name, queue in named.items() if is_swept(name, self._options.queue_name_prefix)}

    def beat(self) -> bool:
        """Give a sign, and say which queues are ours, of those whose names do not tell; False where none was given."""
        tried: set[str] = set()
        for _ in range(_ATTEMPTS):
            left = {name: queue for name, queue in self.bearers.items() if name not in tried}
            if not left:
                return False
            name = self._choose(left)
            sign = LifeSign(self._count + 1, self._options.sweep_period)
            tags = {SIGN_TAG: str(sign), **self._marks(left)}
            reply = self._control.call(left[name].identity, "sqs", "tag_queue", QueueUrl=left[name].url, Tags=tags)
            if reply.failure is None:
                self._bearer, self._count, self._failing = name, sign.count, False
                return True
            if reply.failure.kind is not Kind.MISSING:
                self._report(reply.failure)
                return False
            tried.add(name)
            self._on_gone(left[name])
        return False

    def _choose(self, names: Collection[str]) -> str:
        """Stay with one queue while it is there; but leave one that is found by its name as soon as another is there.

        Whose that is, a sweeper may not know yet; and it would judge the other alone.
        """
        prefix = self._options.queue_name_prefix
        first = first_of(names, prefix)
        stays = self._bearer in names and is_found_by_name(self._bearer, prefix) == is_found_by_name(first, prefix)
        return self._bearer if stays else first

    def _marks(self, names: Iterable[str]) -> dict[str, str]:
        marks = [mark_of(name) for name in names if is_found_by_name(name, self._options.queue_name_prefix)]
        return {MARKS_TAG: " ".join(marks[:_MOST_MARKS])} if marks else {}

    def _report(self, failure: object) -> None:
        if not self._failing:
            logger.warning(
                "no sign of life can be given, so that another process may take this one for dead and delete its"
                " temporary queues, which are then made again; sweep_period=0 does without signs: %s",
                failure,
                extra=fields("sign_of_life_failed", cause=failure),
            )
        self._failing = True
