"""Numbers of things in words."""

from __future__ import annotations

import pytest

from sequela.core.wording import number_of


@pytest.mark.parametrize(
    ("counts", "text"),
    [((0,), "0 edits"), ((1,), "1 edit"), ((3,), "3 edits"), ((1, 5, 10), "1, 5, 10 edits")],
)
def test_only_a_single_thing_is_in_the_singular(counts: tuple[int, ...], text: str) -> None:
    assert number_of("edit", *counts) == text
