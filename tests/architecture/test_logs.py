"""Log lines: each says to machines what it says to people, and the page about them lists what can be said."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted([*(ROOT / "kombu_sns_sqs").rglob("*.py"), *(ROOT / "celery_integration").rglob("*.py")])
PAGE = ROOT / "docs" / "monitoring.md"
#: What is of interest outside a debugging session.
LOUD = {"info", "warning", "error", "critical", "exception", "log"}
_ROW = re.compile(r"^\| `([a-z_]+)` \|", re.MULTILINE)


def calls_in(path: Path) -> list[ast.Call]:
    """All calls of a module."""
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]


def called(call: ast.Call) -> str:
    """What is called, as far as it has a name: ``logger.warning``, ``fields``."""
    return ast.unparse(call.func)


def events_of(path: Path) -> set[str]:
    """The events that a module tells of."""
    told = [
        call for call in calls_in(path) if called(call).rpartition(".")[2] in {"fields", "log_fields"} and call.args
    ]
    return {call.args[0].value for call in told if isinstance(call.args[0], ast.Constant)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_line_has_its_fields(path: Path) -> None:
    """Whatever is logged above the level of debugging."""
    loud = [call for call in calls_in(path) if called(call) in {f"logger.{method}" for method in LOUD}]
    assert [call.lineno for call in loud if "extra" not in {word.arg for word in call.keywords}] == []


def test_every_event_is_on_the_page_and_no_other() -> None:
    """docs/monitoring.md lists the events by name."""
    events = set().union(*(events_of(path) for path in FILES))
    assert set(_ROW.findall(PAGE.read_text().partition("## Log lines")[2])) == events
