"""The attributes of SQS queues, as CreateQueue takes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

#: How a queue is encrypted: what queues that stand beside the users' have in common with them.
_ENCRYPTION: Final = ("KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds", "SqsManagedSseEnabled")


def as_attribute(value: Any) -> str:
    """Write the value of a queue attribute as SQS takes it: policies as JSON, flags in lower case."""
    return value if isinstance(value, str) else json.dumps(value)


def encryption_attributes(given: Mapping[str, Any]) -> dict[str, str]:
    """Give those of the users' attributes that say how a queue is encrypted."""
    return {name: as_attribute(given[name]) for name in _ENCRYPTION if name in given}
