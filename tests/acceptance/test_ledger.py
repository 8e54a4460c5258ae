"""The ledger of emulators is true, and what a strict run needs is not left out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from . import workers
from .ledger import EMULATORS, ONLY

if TYPE_CHECKING:
    import pytest


def test_every_entry_names_a_module_an_emulator_and_a_reason() -> None:
    """A reason is a sentence, not a mark."""
    here = Path(__file__).parent
    assert [name for name in ONLY if not (here / f"{name}.py").exists()] == []
    assert {emulator for emulator, _ in ONLY.values()} <= {*EMULATORS}
    assert [name for name, (_, reason) in ONLY.items() if len(reason.split()) < 6] == []


def test_no_module_chooses_for_itself() -> None:
    """Nor does a test: what is left out on one emulator stands in the ledger."""
    chosen = ("EMULATORS =", '== "moto":', '== "ministack":')
    files = [path for path in Path(__file__).parent.glob("test_*.py") if path.name != Path(__file__).name]
    assert [path.name for path in files if any(word in path.read_text() for word in chosen)] == []


def test_a_strict_run_leaves_out_nothing_for_want_of_a_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """What needs it fails there."""
    skips = {}
    for strict in (False, True):
        monkeypatch.setattr(workers, "STRICT", strict)
        skips[strict] = workers.needs("no_such_library").kwargs["condition"]
    assert skips == {False: True, True: False}
