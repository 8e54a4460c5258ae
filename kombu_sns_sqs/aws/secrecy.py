"""Keys stay out of botocore's debug log, which tells signatures, session tokens and the answers of STS in full.

Only of what is done for us: what else in the process uses botocore, and who debugs that, is not disturbed.
"""

from __future__ import annotations

import logging
import re
from contextvars import ContextVar
from typing import Final

__all__ = ("Secretly",)

#: What tells requests, signatures and answers.
_TELL_TALES: Final = ("botocore.auth", "botocore.endpoint", "botocore.parsers")
#: What a record says that may hold a key, or the id of one. A record too many that is left out costs nothing.
#: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids
_KEYS: Final = re.compile(r"authorization|credential|secret|signature|token|\bA[KS]IA[A-Z0-9]", re.IGNORECASE)

_for_us: ContextVar[bool] = ContextVar("kombu_sns_sqs_for_us", default=False)


def _without_keys(record: logging.LogRecord) -> bool:
    return not (_for_us.get() and _KEYS.search(record.getMessage()))


for _name in _TELL_TALES:
    logging.getLogger(_name).addFilter(_without_keys)


class Secretly:
    """A context in which botocore logs no key of what this thread, or greenlet, does."""

    # No generator, which takes three times as long: every request is signed in one.
    __slots__ = ("_before",)

    def __enter__(self) -> None:
        self._before = _for_us.set(True)

    def __exit__(self, *_exc: object) -> None:
        _for_us.reset(self._before)
