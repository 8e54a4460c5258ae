"""The services of this process: one for each set of options, made at first use, ended with the process."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections import Counter

from kombu_sns_sqs.aws.sessions import Sessions
from kombu_sns_sqs.logs import fields
from kombu_sns_sqs.options import Options
from kombu_sns_sqs.services import Services
from kombu_sns_sqs.settling.losses import Loss

logger = logging.getLogger(__name__)

__all__ = ("lost_leases", "services_for", "shutdown")

_registry: dict[Options, Services] = {}
_sessions: dict[tuple[object, ...], Sessions] = {}
_lock = threading.Lock()


def services_for(options: Options) -> Services:
    """Give the services of this process for a set of options, made at first use."""
    with _lock:
        services = _registry.get(options)
        if services is None:
            services = _registry[options] = Services(options, sessions=_sessions_for(options))
            # Last in, first out: before the local service that these were made for, and whatever else came up since.
            atexit.unregister(shutdown)
            atexit.register(shutdown)
        return services


def _sessions_for(options: Options) -> Sessions:
    """Share credentials and boto3's clients, which take a second to make, between all that can share them."""
    key = (options.connect_timeout, options.read_timeout, options.verify, options.client_config)
    if key not in _sessions:
        _sessions[key] = Sessions(
            connect_timeout=options.connect_timeout,
            read_timeout=options.read_timeout,
            verify=options.verify,
            client_config=dict(options.client_config),
        )
    return _sessions[key]


def lost_leases() -> dict[str, int]:
    """Count the leases this process has lost so far, by reason; see :class:`kombu_sns_sqs.LostLease`."""
    with _lock:
        running = list(_registry.values())
    total: Counter[str] = Counter({reason.value: 0 for reason in Loss})
    for services in running:
        total.update(services.losses.counts)
    return dict(total)


def _forget_parents() -> None:
    """Begin anew in a forked child: what is in the registry is the parent's, its locks in an unknown state."""
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()
    _registry.clear()
    _sessions.clear()


def shutdown() -> None:
    """End everything this process has running: settle, give back, delete its temporary queues.

    It runs by itself when the process exits. Connections that are still open cannot be used any more; new ones can be
    made. It waits for polls in flight until they end, ``wait_time_seconds`` and 5 seconds at the most, and for the rest
    within ``shutdown_timeout``.
    """
    with _lock:
        ending = [services for services in _registry.values() if services.pid == os.getpid()]
        _registry.clear()
    for services in ending:
        services.stop_receiving()
    for services in ending:
        _end(services)


def _end(services: Services) -> None:
    try:
        services.close()
    except Exception:
        logger.exception("the end of the process is not as orderly as it should be", extra=fields("shutdown_failed"))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parents)
