from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sequela.core.arguments import (
    as_whole_number,
    check_choice,
    check_items,
    check_path,
    check_seed,
    check_table,
    check_text,
    check_whole_number,
)
from sequela.core.errors import BadInputError, UnknownNameError


class _Place(os.PathLike[Any]):
    """A path object of another library."""

    def __init__(self, path: str | bytes) -> None:
        self._path = path

    def __fspath__(self) -> Any:
        return self._path


def test_whole_numbers_of_any_library_are_converted() -> None:
    for value in (3, np.int8(3), np.array(3)):
        assert as_whole_number(value) == 3
        assert type(check_whole_number("count", value)) is int
    for wrong in (True, 3.0, float("nan"), "3", None, np.array([1, 2])):
        assert as_whole_number(wrong) is None


def test_the_message_names_the_argument_its_value_and_what_is_expected() -> None:
    with pytest.raises(BadInputError, match=r"^`count` = 0 is not a whole number from 1 on\.$"):
        check_whole_number("count", 0, at_least=1)
    with pytest.raises(BadInputError, match=r"^`prompt` = None is not a text\.$"):
        check_text("prompt", None)


@pytest.mark.parametrize("wrong", [None, 3, "text", b"text", {"a": 1}, [1, "a"]])
def test_a_list_of_texts_is_neither_a_text_nor_a_table(wrong: Any) -> None:
    with pytest.raises(BadInputError, match=r"`stop`"):
        check_items("stop", wrong, str, "a text")


def test_a_list_may_be_anything_with_items_in_order() -> None:
    for value in (["a", "b"], ("a", "b"), (letter for letter in "ab")):
        assert check_items("stop", value, str, "a text") == ("a", "b")
    with pytest.raises(BadInputError, match="Item 2 of `stop`, 3, is not a text"):
        check_items("stop", ["a", 3], (str,), "a text")


def test_a_choice_is_a_known_name() -> None:
    check_choice("engine", "torch", ("torch",))
    with pytest.raises(UnknownNameError, match="Unknown engine 'toch'"):
        check_choice("engine", "toch", ("torch",))
    with pytest.raises(BadInputError, match=r"\[\] is not the name of an engine") as caught:
        check_choice("engine", [], ("torch",))
    assert "torch" in (caught.value.hint or "")


def test_half_of_a_surrogate_pair_is_no_text() -> None:
    check_text("prompt", "a 🙂")
    with pytest.raises(BadInputError, match=r"`prompt` = .* has half of a surrogate pair"):
        check_text("prompt", "a \ud83d")


def test_paths_tables_and_seeds() -> None:
    assert check_path("folder", "a") == check_path("folder", Path("a")) == Path("a")
    assert check_path("folder", _Place("a")) == Path("a")
    for wrong in (None, 3, "", b"a", [], _Place(b"a")):
        with pytest.raises(BadInputError, match="`folder`"):
            check_path("folder", wrong)
    for unusable in ("a\0b", "x" * 5000, "~nobody-of-this-name/a"):
        with pytest.raises(BadInputError, match="path"):
            check_path("folder", unusable)
    check_table("settings", {"lr": 1})
    for wrong in (None, [1], "lr", {1: "lr"}):
        with pytest.raises(BadInputError, match="`settings`"):
            check_table("settings", wrong)
    assert check_seed("seed", -1) == -1
    with pytest.raises(BadInputError, match="at most 64 bits"):
        check_seed("seed", 2**64)


@pytest.mark.parametrize("unusable", ["\udcff", "\0", "\ufdd0", "\ufdd3"])
def test_a_text_with_a_character_that_nothing_can_use_is_rejected(unusable: str) -> None:
    with pytest.raises(BadInputError, match=r"`prompt` = .* has (half of|a NUL|a noncharacter)"):
        check_text("prompt", f"Bo is{unusable}")
