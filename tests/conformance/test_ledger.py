"""The ledger of skips is true: it names what exists, and says why."""

from __future__ import annotations

import importlib
from pathlib import Path

from tests.brokers import BROKERS

from .ledger import SKIPS


def test_every_entry_has_a_reason() -> None:
    """A reason is a sentence, not a mark."""
    assert [key for key, reason in SKIPS.items() if len(reason.split()) < 4] == []


def test_every_entry_names_a_broker_of_the_suite_and_never_the_oracle() -> None:
    """What RabbitMQ fails is a wrong scenario, to be corrected and not skipped."""
    assert {broker for _, broker in SKIPS} <= set(BROKERS) - {"rabbitmq"}


def test_every_entry_names_an_existing_scenario(collected: dict[str, set[str]]) -> None:
    """The module has that test and, where this run collected it, the test has that row."""
    assert [name for name, _ in SKIPS if not exists(name, collected)] == []


def exists(name: str, collected: dict[str, set[str]]) -> bool:
    """Whether a ledger key's scenario is there."""
    scenario, bracket, row = name.partition("[")
    module, _, test = scenario.partition("::")
    if not (Path(__file__).with_name(f"{module}.py")).exists():
        return False
    if not hasattr(importlib.import_module(f"{__package__}.{module}"), test):
        return False
    return not bracket or scenario not in collected or row.removesuffix("]") in collected[scenario]


def test_a_wrong_entry_would_be_found() -> None:
    """The check itself can fail: on a missing module, a missing test, and a missing row."""
    rows = {"test_ledger::exists": {"a row"}}
    assert exists("test_ledger::exists[a row]", rows)
    assert not exists("test_ledger::exists[no row]", rows)
    assert not exists("test_ledger::missing", rows)
    assert not exists("test_missing::exists", rows)
