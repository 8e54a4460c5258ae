"""The documentation: its links lead somewhere, and its Python is Python."""

from __future__ import annotations

import re
import string
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [page for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))) if page.exists()]

_FENCE = re.compile(r"^ *(```|~~~)[^\n]*\n.*?^ *\1 *$", re.MULTILINE | re.DOTALL)
_PYTHON = re.compile(r"^```(?:python|py)\b[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
# [text](target), with a title or without, and [label]: target.
_LINK = re.compile(r"\]\(\s*<?([^\s)>]+)>?[^)]*\)|^\[[^\]]+\]:\s*<?(\S+?)>?(?:\s.*)?$", re.MULTILINE)
_HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$", re.MULTILINE)
_ANCHOR = re.compile(r"""<\w+[^>]*\b(?:id|name)=["']([^"']+)["']""")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def test_there_is_a_readme() -> None:
    """The page that everybody opens first exists: without it the tests below would pass for want of pages."""
    assert ROOT / "README.md" in PAGES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file_and_heading_that_exist(page: Path) -> None:
    """A link within the repository has a file at its end, and its ``#anchor`` a heading in that file."""
    assert [link for link in _relative_links(page.read_text()) if not _resolves(page, link)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_python_block_compiles(page: Path) -> None:
    """Code that is shown can be pasted: a syntax error fails with the page's name and the line in it."""
    text = page.read_text()
    for block in _PYTHON.finditer(text):
        first_line = text.count("\n", 0, block.start(1))
        compile("\n" * first_line + block[1], str(page), "exec")


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("What it is", "what-it-is"),
        ("`sns-sqs://local` and *friends*", "sns-sqslocal-and-friends"),
        ("Not found (404): why?", "not-found-404-why"),
        ("[Celery](https://docs.celeryq.dev) & kombu", "celery--kombu"),
        ("visibility_timeout", "visibility_timeout"),
    ],
)
def test_anchors_are_made_as_github_makes_them(heading: str, anchor: str) -> None:
    """Lower case, blanks to hyphens, punctuation gone."""
    assert anchor == _slug(heading)


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    """The check itself fails where it should: a missing file, a missing heading, a missing second heading."""
    page = tmp_path / "page.md"
    page.write_text(
        "# One\n\n# One\n\n[a](page.md#one) [b](#one-1) [c](#one-2) [d](gone.md 'title')\n"
        "[e]: <gone-too.md>\n`[f](code.md)` [g](https://example.com/#x)\n\n```\n[h](block.md)\n```\n"
    )
    links = _relative_links(page.read_text())
    assert [link for link in links if not _resolves(page, link)] == ["#one-2", "gone.md", "gone-too.md"]


def _relative_links(text: str) -> list[str]:
    prose = _CODE.sub("", _FENCE.sub("", text))
    targets = [inline or reference for inline, reference in _LINK.findall(prose)]
    return [target for target in targets if not _SCHEME.match(target)]


def _resolves(page: Path, link: str) -> bool:
    path, _, anchor = unquote(link).partition("#")
    target = page.parent / path if path else page
    if not target.exists():
        return False
    return not anchor or target.suffix != ".md" or anchor in _anchors(target.read_text())


def _anchors(text: str) -> set[str]:
    prose = _FENCE.sub("", text)
    anchors = set(_ANCHOR.findall(prose))
    seen: dict[str, int] = {}
    for heading in _HEADING.findall(prose):
        slug = _slug(heading)
        repeated = seen.get(slug, 0)
        seen[slug] = repeated + 1
        anchors.add(f"{slug}-{repeated}" if repeated else slug)
    return anchors


def _slug(heading: str) -> str:
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
    dropped = set(string.punctuation) - set("-_")
    return "".join("-" if letter == " " else letter for letter in text if letter not in dropped)
