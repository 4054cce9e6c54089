"""Memory limits that are too low whatever else a process does."""

from __future__ import annotations

import pytest

from sequela.inference.memory_limit import (
    ALLOWANCE,
    MIN_REQUEST_BYTES,
    MemoryLimitError,
    check_memory_limit,
    in_units,
)
from sequela.models.aliases import ALIASES, DEFAULT_MODEL

LEAST = ALLOWANCE + MIN_REQUEST_BYTES


def test_a_limit_without_room_for_any_model_is_rejected() -> None:
    check_memory_limit(None)
    check_memory_limit(LEAST, ["some/model"])
    with pytest.raises(MemoryLimitError, match=rf"too low for any model.* {in_units(LEAST)}"):
        check_memory_limit(LEAST - 1)


@pytest.mark.parametrize(("dtype", "width"), [("float32", 4), ("bfloat16", 2), ("float16", 2), ("auto", 2)])
def test_the_weights_of_a_model_with_an_alias_count(dtype: str, width: int) -> None:
    least = LEAST + width * ALIASES[DEFAULT_MODEL].parameters
    check_memory_limit(least, [DEFAULT_MODEL], dtype)
    with pytest.raises(MemoryLimitError, match=f"too low for {DEFAULT_MODEL}"):
        check_memory_limit(least - 1, ["some/model", DEFAULT_MODEL], dtype)


def test_a_limit_of_the_size_that_is_shown_suffices() -> None:
    shown = [in_units(size) for size in (0, 1, 1000, 2**20 - 1, 2**20, 2**20 + 1, 2**30)]
    assert shown == ["0 bytes", "1 byte", "1000 bytes", "1.0 MiB", "1.0 MiB", "1.1 MiB", "1.00 GiB"]


def test_the_hint_names_the_setting() -> None:
    error = MemoryLimitError("Too low.")
    assert "Raise the memory limit," in str(error)
    assert "Raise `memory` in my.yaml," in str(error.naming("`memory` in my.yaml"))
