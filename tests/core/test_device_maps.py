"""Device maps are checked without PyTorch: strategies, places and tables."""

from __future__ import annotations

from typing import Any

import pytest

from sequela.core.device_maps import check_device_map, devices_of, read_device_map
from sequela.core.errors import BadInputError


@pytest.mark.parametrize("strategy", ["auto", "balanced", "balanced_low_0", "sequential"])
def test_a_strategy_is_left_to_accelerate(strategy: str) -> None:
    assert read_device_map(strategy) == strategy


@pytest.mark.parametrize("place", ["cpu", "disk", "cuda:1", "mps"])
def test_one_place_is_that_of_the_whole_model(place: str) -> None:
    assert read_device_map(place) == {"": place}


def test_a_table_has_places_by_module_and_an_integer_is_a_gpu() -> None:
    table = {"model.embed_tokens": 0, "model.layers": "disk", "": "cpu"}
    expected = {"model.embed_tokens": "cuda:0", "model.layers": "disk", "": "cpu"}
    assert read_device_map(table) == expected
    assert read_device_map('{"model.embed_tokens": 0, "model.layers": "disk", "": "cpu"}') == expected
    assert devices_of(expected) == ["cuda:0", "cpu"]


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "gpu",
        "disc",
        "{",
        "[]",
        "{}",
        {},
        {"": "gpu"},
        {"": True},
        {"": -1},
        {"": None},
        {1: "cpu"},
        3,
        ["cpu"],
    ],
)
def test_anything_else_is_an_error_that_shows_it(wrong: Any) -> None:
    with pytest.raises(BadInputError, match="device map"):
        read_device_map(wrong)


def test_the_command_line_keeps_the_text() -> None:
    assert check_device_map('{"": "disk"}') == '{"": "disk"}'
