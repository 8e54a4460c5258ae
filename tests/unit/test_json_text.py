"""What is written for each message is the JSON that Python's encoder writes."""

from __future__ import annotations

import json
import json.encoder
import math
from datetime import datetime, timezone
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kombu.utils import json as kombu_json

from kombu_sns_sqs.json_text import writer

ENCODERS = [
    kombu_json.JSONEncoder(),
    json.JSONEncoder(ensure_ascii=False, separators=(",", ":")),
    json.JSONEncoder(sort_keys=True, skipkeys=True),
]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)


@pytest.mark.parametrize("encoder", ENCODERS)
@given(value=st.dictionaries(st.text(), VALUES))
def test_it_is_the_same_text(encoder: json.JSONEncoder, value: dict[str, Any]) -> None:
    """One after the other, with the one that was made at the beginning."""
    assert writer(encoder)(value) == encoder.encode(value)


def test_what_only_kombu_knows_is_written_as_kombu_writes_it() -> None:
    """Dates and UUIDs among the headers of a task."""
    value = {"at": datetime(2027, 1, 16, tzinfo=timezone.utc), "id": UUID(int=7), "bytes": b"\xff", "of": [math.inf]}
    text = writer(ENCODERS[0])(value)
    assert text == ENCODERS[0].encode(value)
    assert kombu_json.loads(text)["at"] == value["at"]


@pytest.mark.parametrize("found", [None, lambda one: one], ids=["none", "another"])
def test_a_python_without_such_an_encoder_writes_the_same(monkeypatch: pytest.MonkeyPatch, found: Any) -> None:
    """PyPy has none; and its arguments may change with a version."""
    with monkeypatch.context() as patch:
        patch.setattr(json.encoder, "c_make_encoder", found)
        write = writer(ENCODERS[0])
    assert write({"a": ["é", 1]}) == ENCODERS[0].encode({"a": ["é", 1]})


def test_what_contains_itself_is_an_error() -> None:
    """And ends no process."""
    itself: list[Any] = []
    itself.append(itself)
    with pytest.raises((ValueError, RecursionError)):
        writer(ENCODERS[0])({"headers": itself})


def test_what_nobody_can_write_is_an_error() -> None:
    """Of the type Python names."""
    with pytest.raises(TypeError, match="object"):
        writer(ENCODERS[1])({"headers": object()})
