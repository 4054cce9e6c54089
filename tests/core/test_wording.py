"""Numbers of things in words."""

from __future__ import annotations

import pytest

from sequela.core.wording import key_of, number_of


@pytest.mark.parametrize(
    ("counts", "text"),
    [((0,), "0 edits"), ((1,), "1 edit"), ((3,), "3 edits"), ((1, 5, 10), "1, 5, 10 edits")],
)
def test_only_a_single_thing_is_in_the_singular(counts: tuple[int, ...], text: str) -> None:
    assert number_of("edit", *counts) == text


@pytest.mark.parametrize(
    ("location", "text"),
    [((), ""), (("a",), "a"), (("editors", 0, "name"), "editors.1.name"), ((1, 0), "2.1"), (("0",), "0")],
)
def test_entries_of_lists_are_numbered_from_one(location: tuple[object, ...], text: str) -> None:
    assert key_of(location) == text
