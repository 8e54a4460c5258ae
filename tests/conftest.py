"""What every test may ask for: a running broker.

A test with a ``broker`` argument (or with a fixture that has one) runs once on every broker of `tests.brokers`, each
of them started once a session on free ports of 127.0.0.1 and gone with the session, however that ends.

* ``--broker NAME`` (repeatable) runs it on those alone.
* ``--emulator NAME`` (repeatable) runs the acceptance tests on those, whatever a module names.
* A broker that is not installed is skipped with the reason; with ``CI_STRICT=1`` that is a failure.
* Where they are looked for: RabbitMQ as Debian installs it or on PATH; ministack by ``KOMBU_SNS_SQS_MINISTACK``, beside
  this Python, or on PATH; moto beside this Python; localstack-core by ``KOMBU_SNS_SQS_LOCALSTACK_PYTHON``, the Python
  that has it.
* Run in parallel (``-n 5 --dist loadscope``), what shares a server stays in one process (``distribution.py``).
* A scenario that a broker can't pass is listed with its reason in ``conformance/ledger.py``, and nowhere else.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from tests.brokers import BROKERS, Broker
from tests.distribution import BySharedServers, longest_first

if TYPE_CHECKING:
    from collections.abc import Iterator


# A shell starts what runs in its background with Ctrl-C ignored, and processes of the tests would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says something of the machine and its load, nothing of the code.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--broker`` and ``--emulator``."""
    parser.addoption(
        "--broker",
        action="append",
        choices=sorted(BROKERS),
        help="run on this broker alone (repeatable; all of them unless given)",
    )
    parser.addoption(
        "--emulator",
        action="append",
        choices=["ministack", "moto"],
        help="run acceptance tests on this emulator (repeatable; those that a module names, or both, unless given)",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give every test that asks for a broker one run on each."""
    if "broker" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--broker") or list(BROKERS)
        metafunc.parametrize("broker", chosen, indirect=True, scope="session")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, for several processes that share the work."""
    longest_first(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> BySharedServers:
    """Keep together what shares a broker, or the fixtures of a file: each is then started once."""
    return BySharedServers(config, log)


@pytest.fixture(scope="session")
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """A running broker, stopped when the last test on it has ended."""
    broker = BROKERS[request.param]()
    if (reason := broker.available()) is not None:
        if broker.required and os.environ.get("CI_STRICT") == "1":
            pytest.fail(f"{broker.name} is missing from a strict run: {reason}")
        pytest.skip(f"{broker.name}: {reason}")
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()
