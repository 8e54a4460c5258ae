"""The service of ``sns-sqs://local``: one a process tree."""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import dataclass, field

from kombu_sns_sqs.local.service import ENDPOINT_VARIABLE, LocalService, answering
from kombu_sns_sqs.logs import fields

NOT_FOR_PRODUCTION = "not for production: messages are kept in the memory of one process and are lost with it"

logger = logging.getLogger(__name__)


@dataclass
class _Shared:
    """The service of ``sns-sqs://local``: one a process tree."""

    service: LocalService | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def forget_lock(self) -> None:
        """Take a fresh lock after a fork: the old one may be held by a thread that did not come along."""
        self.lock = threading.Lock()


_shared = _Shared()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_shared.forget_lock)


def endpoint_for_local() -> LocalService:
    """Return the service behind ``sns-sqs://local``, started now if this process tree has none yet.

    Child processes, forked or spawned after the first use, share it: they find it in the environment variable
    ``KOMBU_SNS_SQS_LOCAL_ENDPOINT``, which may also be set by hand to a service on the loopback interface. Processes
    with no ancestor that used it have each their own. May be called from any thread.

    Raises:
        LocalServiceError: as :meth:`LocalService.start`, or the variable leads off this machine.
    """
    with _shared.lock:
        if _shared.service is None or not _shared.service.running:
            _shared.service = _attach() or _start_shared()
        return _shared.service


def _attach() -> LocalService | None:
    endpoint = os.environ.get(ENDPOINT_VARIABLE)
    if not endpoint:
        return None
    emulator = answering(endpoint)
    return None if emulator is None else LocalService(endpoint_url=endpoint, emulator=emulator.name)


def _start_shared() -> LocalService:
    service = LocalService.start()
    os.environ[ENDPOINT_VARIABLE] = service.endpoint_url
    told = fields("local_service", emulator=service.emulator, endpoint=service.endpoint_url)
    what = (service.emulator, service.endpoint_url, NOT_FOR_PRODUCTION)
    logger.warning("sns-sqs://local: %s at %s, %s", *what, extra=told)
    return service
