"""Which tests run in one process: by their names alone, as several processes share them."""

from __future__ import annotations

import pytest

from tests.distribution import group_of

FILE = "tests/acceptance/test_x.py"


@pytest.mark.parametrize(
    ("nodeid", "group"),
    [
        ("tests/conformance/test_x.py::test_y[rabbitmq-direct]", "conformance on rabbitmq"),
        ("tests/conformance/test_z.py::test_y[drain-moto]", "conformance on moto"),
        ("tests/conformance/test_x.py::test_y[moto-[a-b]]", "conformance on moto"),
        ("tests/conformance/test_x.py::test_y", "tests/conformance/test_x.py "),
        (f"{FILE}::test_y[moto-prefork]", f"{FILE} moto"),
        (f"{FILE}::test_y[ministack]", f"{FILE} ministack"),
        (f"{FILE}::test_y[a-b]", f"{FILE} "),
    ],
)
def test_what_shares_a_broker_or_the_fixtures_of_a_file_runs_in_one_process(nodeid: str, group: str) -> None:
    """The conformance suite by its brokers; all else by its file, and by the emulator where it names one."""
    assert group_of(nodeid) == group
