"""Which tests one process runs, where several run them: what shares a broker, an emulator or the fixtures of a file.

Each is then started once, and not once in every process. pytest-xdist's own marks for that (``xdist_group``) have no
effect in its version 3.8 with pytest 9.2, which keeps a test's name elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xdist.scheduler import LoadScopeScheduling

from .brokers import BROKERS

if TYPE_CHECKING:
    import pytest
    from xdist.remote import Producer


class BySharedServers(LoadScopeScheduling):
    """Hands out one group of tests at a time, in the order in which they were collected."""

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        # Groups with few tests may be those that take longest; they are not to come last.
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def group_of(nodeid: str) -> str:
    """Name the group of a test: its broker's in the conformance suite, else its file's, for each emulator apart."""
    file, _, test = nodeid.partition("::")
    arguments = test.partition("[")[2].removesuffix("]").split("-")
    server = next((word for word in arguments if word in BROKERS), "")
    return f"conformance on {server}" if server and "/conformance/" in file else f"{file} {server}"


def longest_first(items: list[pytest.Item]) -> None:
    """Let the groups begin first that take longest: the conformance suite, on each of its brokers."""
    items.sort(key=lambda item: "/conformance/" not in item.nodeid)
