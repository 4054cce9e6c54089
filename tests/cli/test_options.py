"""Options that several commands share."""

from __future__ import annotations

from typing import Any

import pytest

from sequela.cli.options import read_template_args
from sequela.core.errors import BadInputError


@pytest.mark.parametrize(
    ("pairs", "arguments"),
    [
        (None, {}),
        (["enable_thinking=false"], {"enable_thinking": False}),
        (["enable_thinking=False", "effort=low"], {"enable_thinking": False, "effort": "low"}),
        (
            ["depth=3", "share=0.5", "system=none", "name=a=b"],
            {"depth": 3, "share": 0.5, "system": None, "name": "a=b"},
        ),
        (['quoted="3"', "list=[1]"], {"quoted": "3", "list": "[1]"}),
        (["a=no", "b=OFF", "c=yes", "d=On"], {"a": False, "b": False, "c": True, "d": True}),
        (['lang="no"', "day=26 Jul", "tag=[INST]"], {"lang": "no", "day": "26 Jul", "tag": "[INST]"}),
        (['{"enable_thinking": false, "depth": 3}'], {"enable_thinking": False, "depth": 3}),
    ],
)
def test_template_arguments_keep_their_types(pairs: list[str] | None, arguments: dict[str, Any]) -> None:
    read = read_template_args(pairs)
    assert [(name, value, type(value)) for name, value in read.items()] == [
        (name, value, type(value)) for name, value in arguments.items()
    ]


@pytest.mark.parametrize("pairs", [["enable_thinking"], ["=false"], ["{not json"], ["a=1", "a=2"]])
def test_malformed_template_arguments_are_rejected(pairs: list[str]) -> None:
    with pytest.raises(BadInputError, match="template argument"):
        read_template_args(pairs)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("NaN", "is nan, which is not a finite number"),
        ("1e999", "is inf, which is not a finite number"),
        ("9" * 5000, "a number has too many digits"),
        ("[" * 100_000, "it nests more than 100 levels deep"),
        ("[" * 500 + "]" * 500, "nests more than 100 levels deep"),
        ('"\\ud800"', "half of a surrogate pair"),
    ],
)
def test_a_value_that_no_template_can_use_is_rejected(value: str, reason: str) -> None:
    for pair in (f"depth={value}", f'{{"depth": {value}}}'):
        with pytest.raises(BadInputError, match=reason) as caught:
            read_template_args([pair])
        assert len(caught.value.message) < 250
