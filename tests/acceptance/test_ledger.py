"""The ledger of emulators is true, and what a strict run needs is not left out."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from . import workers
from .ledger import EMULATORS, ONLY

#: What tests of the whole suite are left out without, where it is no strict run.
LIBRARIES = ("django", "eventlet", "flask", "gevent", "pycurl", "sqlalchemy")
PROGRAMS = ("chromedriver", "chromium", "redis-server")


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


@pytest.mark.skipif(not workers.STRICT, reason="only a strict run has to have everything")
def test_a_strict_run_has_every_library_and_program() -> None:
    """Each imported by a process of its own: some change what is imported after them."""
    programs = {
        library: subprocess.run([sys.executable, "-W", "ignore", "-c", f"import {library}"], check=False, timeout=60)
        for library in LIBRARIES
    }
    assert [library for library, done in programs.items() if done.returncode] == []
    assert [program for program in PROGRAMS if shutil.which(program) is None] == []
