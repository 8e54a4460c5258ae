"""The embedded default: an emulator of SNS and SQS in a process of its own, on the loopback interface only.

For a first try, for development and for tests: the URL ``sns-sqs://local`` starts one on first use and stops it with
the process, ``python -m kombu_sns_sqs.local`` starts one for a shell. **Not for production**: messages live in the
memory of one process, and the only key is ``test``.

The emulator is an existing one: ministack, because it alone enforces the policies of queues, or else moto's server,
which is slow on long queues. Both come with the extra ``local``.
"""

from __future__ import annotations

from kombu_sns_sqs.local.emulators import LocalServiceError
from kombu_sns_sqs.local.service import ENDPOINT_VARIABLE, LocalService
from kombu_sns_sqs.local.shared import endpoint_for_local

__all__ = ("ENDPOINT_VARIABLE", "LocalService", "LocalServiceError", "endpoint_for_local")
