"""The values of a column of a data file are of one kind, and an error names file, line and field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sequela.core.errors import BadInputError
from sequela.evaluation.lm_eval.local_data import read_items


def written(folder: Path, *values: Any) -> Path:
    path = folder / "items.jsonl"
    path.write_text("".join(json.dumps({"a": value}) + "\n" for value in values), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("first", "other", "field"),
    [
        ("x", 1, "a"),
        (1, "1", "a"),
        (1, True, "a"),
        (1, 1.5, "a"),
        ("x", ["x"], "a"),
        ({"b": 1}, [1], "a"),
        ({"b": 1}, {"b": "x"}, "a.b"),
        ([1], ["x"], "a[]"),
        ({"b": [{"c": "x"}]}, {"b": [{"c": "x"}, {"c": 2}]}, "a.b[].c"),
    ],
)
def test_a_value_of_another_kind_is_named(first: Any, other: Any, field: str, tmp_path: Path) -> None:
    with pytest.raises(BadInputError) as caught:
        read_items(written(tmp_path, first, first, other))
    assert f"items.jsonl, line 3: the field {field!r} is " in str(caught.value)
    assert "items.jsonl, line 1 it is " in str(caught.value)


@pytest.mark.parametrize("values", [(None, "x"), ("x", None), ([1], []), ([], [1]), ({"b": None}, {"b": 1})])
def test_null_and_an_empty_list_fit_every_kind(values: Any, tmp_path: Path) -> None:
    assert read_items(written(tmp_path, *values)) == [{"a": value} for value in values]


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**30])
def test_a_number_that_no_table_holds_is_named(number: int, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"items\.jsonl, line 2: the field 'a' is a number of more than"):
        read_items(written(tmp_path, 2**63 - 1, number))
