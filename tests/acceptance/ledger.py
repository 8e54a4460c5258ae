"""Which acceptance tests run on one emulator alone, and why: the only place where both are not demanded."""

from __future__ import annotations

#: What stands in for AWS, one after the other.
EMULATORS = ("ministack", "moto")
_BRIEF = "time is short, and the emulator has little part in it: "

#: Module -> (emulator, reason)
ONLY: dict[str, tuple[str, str]] = {
    "test_flower": ("ministack", _BRIEF + "what is looked at is Flower, in a browser that takes a core for itself"),
    "test_health": ("moto", _BRIEF + "a worker is ill or well by its own clock, and the service silent by a signal"),
    "test_monitoring": ("moto", _BRIEF + "what is looked at is what a worker of its own logs and counts"),
    "test_permissions": ("ministack", _BRIEF + "what is allowed is decided by a relay in front of the emulator"),
    "test_reconnecting": (
        "ministack",
        _BRIEF + "what is looked at is what Celery does, and the service silent by a signal",
    ),
    "test_stopped_workers": ("ministack", "moto takes receipt handles that are not the latest: to it no lease is lost"),
    "test_web_sites": ("moto", _BRIEF + "what is looked at is what the threads and greenlets of a web server send"),
}
