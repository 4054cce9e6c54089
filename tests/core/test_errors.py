from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequela.core.errors import SequelaError, UnknownNameError, shown

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "None"),
        ("a", "'a'"),
        (Path("a"), "'a'"),
        ([1, {"b": 2.5}], "[1, {'b': 2.5}]"),
        (SequelaError("no"), "a SequelaError object"),
        ([object()], "a list object"),
        (OSError, "the class builtins.OSError"),
        (shown, "the function shown"),
        (math, "the module math"),
    ],
)
def test_objects_are_shown_by_their_class_and_plain_values_as_they_are_written(
    value: object, words: str
) -> None:
    assert shown(value) == words


@given(value=PLAIN)
def test_a_plain_value_is_shown_whole_or_shortened(value: object) -> None:
    text = shown(value)
    assert len(text) <= 120
    assert text == repr(value) or (text.endswith("...") and repr(value).startswith(text[:-3]))


def test_a_long_list_of_names_is_cut() -> None:
    known = [f"task{number:04}" for number in range(15_000)]
    error = UnknownNameError("task", "zzz", known)
    assert len(str(error)) < 1_000
    assert "and 14,960 others" in str(error)
