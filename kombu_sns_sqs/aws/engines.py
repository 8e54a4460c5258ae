"""Which engine drives a worker."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from kombu_sns_sqs.aws.exchange import HAS_CURL
from kombu_sns_sqs.errors import OptionsError

if TYPE_CHECKING:
    from kombu_sns_sqs.aws.client import EventClient
    from kombu_sns_sqs.aws.sessions import Sessions

__all__ = ("ENGINE_VARIABLE", "event_client")

#: ``curl`` or ``threads``: overrides the choice.
ENGINE_VARIABLE: Final = "KOMBU_SNS_SQS_ENGINE"


def event_client(sessions: Sessions) -> EventClient:
    """Make the engine for polls and batched deletes: libcurl, or threads where pycurl does not import.

    Raises:
        OptionsError: ``KOMBU_SNS_SQS_ENGINE`` names no engine, or curl where pycurl does not import.
    """
    engine = os.environ.get(ENGINE_VARIABLE) or ("curl" if HAS_CURL else "threads")
    if engine == "curl" and HAS_CURL:
        from kombu_sns_sqs.aws.curl_client import CurlClient  # noqa: PLC0415 -- imports pycurl

        return CurlClient(sessions)
    if engine == "threads":
        from kombu_sns_sqs.aws.threaded_client import ThreadedClient  # noqa: PLC0415 -- one engine is enough

        return ThreadedClient(sessions)
    why = "pycurl does not import here" if engine == "curl" else "it takes curl or threads"
    raise OptionsError(f"{ENGINE_VARIABLE}={engine}: {why}")
