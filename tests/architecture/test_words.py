"""What may not be written: limits of AWS outside their room, imports in a circle, paths of one machine."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from kombu_sns_sqs import quotas

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "kombu_sns_sqs"
FILES = sorted([*PACKAGE.rglob("*.py"), *(ROOT / "celery_integration").rglob("*.py")])

#: Limits that cannot be taken for any other number; a thousand can.
LIMITS = {value for value in vars(quotas).values() if isinstance(value, int) and value > 300} - {1000}
#: Numbers that look like a limit of SQS or SNS and are another matter.
NO_QUOTA = {
    ("aws/credentials.py", 900): "how long before their end botocore begins to renew credentials",
    ("identity.py", 900): "the shortest session of a role, a limit of STS",
    ("identity.py", 43_200): "the longest session of a role, a limit of STS",
}

#: Where a home or a scratch directory begins.
_PRIVATE_PATH = re.compile(r"(?<![\w./])/(?:home|root|tmp|Users|work\w*)/")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_limit_of_aws_is_written_in_quotas_alone(path: Path) -> None:
    """900, 43,200 and their like are constants with a name and the page that states them."""
    where = str(path.relative_to(PACKAGE)) if path.is_relative_to(PACKAGE) else str(path.relative_to(ROOT))
    if where != "quotas.py":
        found = {(where, number) for number in constants_of(path) & LIMITS}
        assert found - NO_QUOTA.keys() == set()


def test_every_exception_is_still_needed() -> None:
    """A number that has gone takes its excuse along."""
    for where, number in NO_QUOTA:
        assert number in constants_of(PACKAGE / where), (where, number)


def test_no_two_modules_wait_for_each_other() -> None:
    """Importing any module needs no other that is half imported, on the same floor or not."""
    needs = {module_name(path): needed_by(path) for path in PACKAGE.rglob("*.py")}
    importable = dict(needs)
    while ready := {module for module, others in importable.items() if not others & importable.keys()}:
        importable = {module: others for module, others in importable.items() if module not in ready}
    assert importable == {}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_path_of_one_machine_is_written_down(path: Path) -> None:
    """What runs here runs anywhere."""
    assert _PRIVATE_PATH.findall(path.read_text()) == []


def constants_of(path: Path) -> set[object]:
    """The numbers, texts and so on that stand in a module."""
    return {node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)}


def module_name(path: Path) -> str:
    """`receiving/poller.py` -> `kombu_sns_sqs.receiving.poller`."""
    return ".".join(part for part in path.relative_to(ROOT).with_suffix("").parts if part != "__init__")


def needed_by(path: Path) -> set[str]:
    """The modules of ours that are imported while this one is: those at its top level."""
    needed: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            needed |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            needed |= {whose(node.module, alias.name) for alias in node.names}
    # The package itself is imported first by whatever is in it, and needs none of them at its top level.
    return {name for name in needed if name.startswith("kombu_sns_sqs.")} - {module_name(path)}


def whose(package: str, name: str) -> str:
    """The module that ``from package import name`` waits for: a room of the package, or else the package."""
    room = ROOT.joinpath(*package.split("."), name)
    return f"{package}.{name}" if room.is_dir() or room.with_suffix(".py").exists() else package
