"""Rooms that can be read at one sitting."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import kombu_sns_sqs

ROOT = Path(__file__).parents[2]
FILES = sorted([*(ROOT / "kombu_sns_sqs").rglob("*.py"), *(ROOT / "celery_integration").rglob("*.py")])
MAX_LINES = 300
MAX_FUNCTION = 45
MAX_METHODS = 23
#: Facades that kombu imposes.
FACADES = {"Channel": 36, "Transport": 24}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_one_sitting(path: Path) -> None:
    """At most 300 lines, no function over 45, no class over 23 methods but the facades."""
    source = path.read_text()
    assert len(source.splitlines()) <= MAX_LINES
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert (node.end_lineno or 0) - node.lineno < MAX_FUNCTION, node.name
        elif isinstance(node, ast.ClassDef):
            methods = sum(isinstance(child, ast.FunctionDef) for child in node.body)
            assert methods <= FACADES.get(node.name, MAX_METHODS), node.name


def test_public_names_exist_and_say_what_they_are() -> None:
    """Every name in `__all__` can be imported, and has a docstring if it can have one."""
    for name in kombu_sns_sqs.__all__:
        thing = getattr(kombu_sns_sqs, name)
        assert isinstance(thing, str) or thing.__doc__, name
    for module in ("kombu_sns_sqs.errors", "celery_integration"):
        for name in importlib.import_module(module).__all__:
            assert getattr(importlib.import_module(module), name).__doc__, name
