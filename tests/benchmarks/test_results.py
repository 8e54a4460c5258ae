"""Marks, tables and drawings, without a broker."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from benchmarks.contenders import CONTENDERS
from benchmarks.plot import draw
from benchmarks.report import number
from benchmarks.result import Figures, Mark, Result, marks_of

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize(
    ("value", "comparison", "met"), [(1.0, ">=", True), (0.9, ">=", False), (1.0, "<=", True), (1.1, "<=", False)]
)
def test_a_mark_is_met_at_its_limit_and_beyond(value: float, comparison: str, *, met: bool) -> None:
    """The limit itself is enough."""
    assert Mark("x", value, comparison, 1.0).met is met


def test_a_mark_compares_upwards_or_downwards() -> None:
    """Anything else is a mistake, and told at once."""
    with pytest.raises(ValueError, match="'=='"):
        Mark("x", 1.0, "==", 1.0)


def test_what_was_not_measured_makes_no_mark() -> None:
    """With some contenders left out there is nothing to compare with."""
    figures = Figures()
    figures.add("sns-sqs", "15 ms", "rate", 50.0, "tasks/s")
    assert figures.ratio("15 ms", "rate", "sns-sqs", "rabbitmq") is None
    figures.add("rabbitmq", "15 ms", "rate", 40.0, "tasks/s")
    assert marks_of(
        ("a", figures.ratio("15 ms", "rate", "sns-sqs", "rabbitmq"), ">=", 1.0), ("b", None, ">=", 1.0)
    ) == (Mark("a", 1.25, ">=", 1.0),)


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (1234.5, "1,234"), (0.12345, "0.123"), (99.99, "100"), (42, "42")]
)
def test_numbers_show_three_digits(value: float, text: str) -> None:
    """Whole numbers from a hundred on."""
    assert number(value) == text


def test_a_contender_with_a_share_gets_that_part_of_the_work() -> None:
    """In whole tens, never less than ten, never more than there is for everybody."""
    assert CONTENDERS["sns-sqs"].messages(5000) == 5000
    assert CONTENDERS["sqs"].messages(5000) == 300
    assert CONTENDERS["sqs"].messages(50) == 10


def test_every_figure_worth_a_look_is_drawn() -> None:
    """A bar for each contender, a point for each size, as an SVG that parses and keeps to its width."""
    rates = Figures()
    for name in ("sns-sqs", "rabbitmq"):
        rates.add(name, "15 ms", "rate", 1000.0, "tasks/s")
        rates.add(name, "15 ms", "tasks", 10.0, "")
    growth = Figures()
    for count in ("1,000 messages", "10,000 messages"):
        growth.add("sns-sqs", count, "time", 500.0, "µs/message")
    picture = ET.fromstring(draw([Result("drain", "", rates), Result("scaling", "", growth)]))  # noqa: S314 - our own
    bars = picture.findall(f".//{SVG}rect")
    assert len(bars) == 2
    assert len(picture.findall(f".//{SVG}circle")) == 2
    width = float(picture.get("width") or 0)
    assert all(float(bar.get("x") or 0) + float(bar.get("width") or 0) < width for bar in bars)
