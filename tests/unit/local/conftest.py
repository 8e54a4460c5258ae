"""What the tests of the local service share."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kombu_sns_sqs.local import ENDPOINT_VARIABLE, LocalService, emulators, endpoint_for_local
from tests.unit.local.processes import spawned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(autouse=True)
def litter(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where keepers and emulators write their files; and whatever service our shell knows of is not ours to use."""
    folder = tmp_path_factory.mktemp("litter")
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.delenv(ENDPOINT_VARIABLE, raising=False)
    return folder


@pytest.fixture
def shared() -> Iterator[LocalService]:
    """The service of ``sns-sqs://local`` in this process."""
    service = endpoint_for_local()
    yield service
    service.stop()


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Install an executable in ministack's place that runs the given lines; its process id is in the returned file."""

    def install(*lines: str) -> Path:
        pid_file, script = tmp_path / "pid", tmp_path / "ministack"
        first = [f"#!{sys.executable}", "import os", f"open({str(pid_file)!r}, 'w').write(str(os.getpid()))"]
        script.write_text("\n".join([*first, *lines]))
        script.chmod(0o755)
        monkeypatch.setenv(emulators.MINISTACK_VARIABLE, str(script))
        return pid_file

    return install


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    """Every process that a test spawned has ended with it."""
    yield
    for process in spawned:
        if process.poll() is None:
            process.kill()
        process.communicate()
    spawned.clear()
