"""The rooms of the house, and the one direction in which they know of each other."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "kombu_sns_sqs"

#: From the door down; a module imports from its own floor and from those below it, never from above.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("scheduling", "vitals"),
    ("connections", "rehearsal"),
    ("transport",),
    ("forgotten",),
    ("channel",),
    ("message", "receiving.receiver", "receiving.getter"),
    ("registry",),
    ("services",),
    ("sweeping.sweeper",),
    ("receiving.hopper", "receiving.receivers"),
    (
        "receiving.lanes",
        "receiving.last_polls",
        "publishing.batch",
        "publishing.watched_publisher",
        "settling.handover",
        "settling.rejections",
        "topology.wiring",
    ),
    (
        "receiving.companion_watch",
        "receiving.forwarding",
        "qos",
        "exchange_bindings",
        "janitor",
        "publishing.publisher",
        "receiving.listener",
        "replies",
        "receiving.poller",
        "receiving.refreshing",
        "receiving.replacing",
        "topology.restoring",
        "settling.dead_letters",
    ),
    (
        "publishing.courier",
        "publishing.dead_letter_targets",
        "publishing.postponing",
        "receiving.answer_age",
        "receiving.hops",
        "receiving.companion_polls",
        "receiving.arrivals",
        "receiving.pace",
        "receiving.reports",
        "receiving.tick",
        "receiving.window",
        "settling.settlers",
        "sweeping.listing",
        "sweeping.lock",
        "sweeping.pulse",
        "sweeping.removal",
        "topology.differences",
        "topology.provisioner",
    ),
    ("settling.settler",),
    ("settling.batch_requests", "settling.reports", "settling.rhythm", "settling.settlements", "publishing.backlog"),
    ("settling.loans",),
    ("topology.binder", "topology.companions"),
    ("topology.filtering",),
    ("topology.exchanges", "topology.making", "topology.subscriptions"),
    ("topology.access",),
    (
        "topology.directory",
        "topology.emptying",
        "topology.holding_queues",
        "settling.outbox",
        "publishing.parcel",
        "publishing.outcomes",
    ),
    ("settling.holdings", "settling.losses"),
    ("aws",),
    ("sweeping.vigil",),
    (
        "local",
        "wire",
        "topology.knowledge",
        "topology.tags",
        "topology.temporaries",
        "topology.undecided",
        "option_reading",
        "monitoring",
    ),
    (
        "topology.attributes",
        "topology.entities",
        "topology.filters",
        "topology.levels",
        "topology.newness",
        "topology.policies",
        "topology.bindings",
        "topology.patterns",
        "topology.rules",
        "topology.word_counts",
    ),
    ("sweeping.agenda", "sweeping.life_sign", "sweeping.times", "temporary_names"),
    ("addressing", "backoff", "batching", "broker_url", "delay", "messages", "options", "redelivery"),
    ("identity",),
    ("clock", "errors", "json_text", "lifecycle", "logs", "native_threads", "presentable", "quotas", "reply_keys"),
)

#: Rooms that decide and never act: no clock, no socket, no thread, no dice, no AWS.
PURE = (
    "addressing",
    "backoff",
    "batching",
    "broker_url",
    "delay",
    "errors",
    "identity",
    "json_text",
    "messages",
    "monitoring.hooks",
    "monitoring.naming",
    "option_reading",
    "options",
    "publishing.backlog",
    "quotas",
    "receiving.answer_age",
    "receiving.companion_polls",
    "receiving.hops",
    "receiving.pace",
    "receiving.window",
    "redelivery",
    "reply_keys",
    "settling.batch_requests",
    "settling.holdings",
    "settling.loans",
    "settling.outbox",
    "settling.rhythm",
    "settling.settlements",
    "sweeping.agenda",
    "sweeping.life_sign",
    "sweeping.times",
    "sweeping.vigil",
    "temporary_names",
    "topology.attributes",
    "wire.attributes",
    "wire.copying",
    "wire.dead_letter",
    "wire.deaths",
    "wire.envelope",
    "wire.properties",
    "topology.bindings",
    "topology.differences",
    "topology.entities",
    "topology.filters",
    "topology.levels",
    "topology.patterns",
    "topology.policies",
    "topology.rules",
    "topology.tags",
    "topology.word_counts",
)
ACTING = {
    "boto3",
    "botocore",
    "multiprocessing",
    "os",
    "pycurl",
    "random",
    "select",
    "socket",
    "subprocess",
    "threading",
    "time",
}


def module_name(path: Path) -> str:
    """`receiving/poller.py` -> `receiving.poller`; the package itself is empty."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {module_name(path): path for path in PACKAGE.rglob("*.py")}


def floor_of(module: str) -> int | None:
    """The number of a module's floor, the door being 0."""
    for number, rooms in enumerate(FLOORS):
        if any(module == room or module.startswith(f"{room}.") for room in rooms):
            return number
    return None


def imports_of(path: Path) -> set[str]:
    """Full names of what a module imports, for type checkers alone or not."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def runtime_imports_of(path: Path) -> set[str]:
    """What is imported when the module is, and not only for type checkers."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = []
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return found


def known(names: set[str]) -> set[str]:
    """Modules of ours among imported names."""
    ours = (name.removeprefix("kombu_sns_sqs.") for name in names if name.startswith("kombu_sns_sqs."))
    return {name for name in ours if name in MODULES}


def test_every_module_has_its_floor() -> None:
    """A new room has to be given its place here."""
    packages = ("", "publishing", "receiving", "settling", "sweeping", "topology")
    homeless = [name for name in MODULES if name not in packages]
    assert [name for name in homeless if floor_of(name) is None] == []


@pytest.mark.parametrize("module", sorted(name for name in MODULES if floor_of(name) is not None))
def test_imports_point_down(module: str) -> None:
    """What a module imports at run time is on its own floor or below."""
    floor = floor_of(module)
    assert floor is not None
    above = {name for name in known(runtime_imports_of(MODULES[module])) if (floor_of(name) or 0) < floor}
    above -= {name for name in above if floor_of(name) is None}
    assert above == set()


@pytest.mark.parametrize("module", PURE)
def test_pure_rooms_do_not_act(module: str) -> None:
    """They are given the time, and what to decide on."""
    assert {name.partition(".")[0] for name in imports_of(MODULES[module])} & ACTING == set()


@pytest.mark.parametrize("module", sorted(MODULES))
def test_the_transport_never_imports_celery(module: str) -> None:
    """It serves plain kombu."""
    assert not any(name.partition(".")[0] == "celery" for name in imports_of(MODULES[module]))


def test_the_integration_uses_public_names_alone() -> None:
    """What Celery needs on top is made of what everybody can use."""
    names = set().union(*(imports_of(path) for path in (ROOT / "celery_integration").rglob("*.py")))
    assert {name for name in names if name.startswith("kombu_sns_sqs.") and name.count(".") > 1} == set()


def test_importing_the_package_is_cheap() -> None:
    """Kombu imports it in every process that has it installed: neither boto3 nor pycurl come along."""
    code = "import sys, kombu_sns_sqs; print([m for m in ('boto3', 'botocore', 'pycurl') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
