"""Numbers of things and sizes in words."""

from __future__ import annotations

import math

import pytest

from sequela.core.wording import key_of, number_of, size_in_words


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


@pytest.mark.parametrize(
    ("size", "words", "rounded_up"),
    [
        (0, "0 bytes", "0 bytes"),
        (1, "1 byte", "1 byte"),
        (1023, "1023 bytes", "1023 bytes"),
        (1024, "1.0 KiB", "1.0 KiB"),
        (1536, "1.5 KiB", "1.5 KiB"),
        (1537, "1.5 KiB", "1.6 KiB"),
        (1000 * 1024, "1.0 MiB", "1.0 MiB"),
        (2**20 + 1, "1.0 MiB", "1.1 MiB"),
        (5 * 2**30, "5.00 GiB", "5.00 GiB"),
        (5 * 2**30 + 1, "5.00 GiB", "5.01 GiB"),
        (2**41, "2048.00 GiB", "2048.00 GiB"),
        (math.inf, "inf GiB", "inf GiB"),
        (0.5, "1 byte", "1 byte"),
    ],
)
def test_sizes_in_words(size: float, words: str, rounded_up: str) -> None:
    assert size_in_words(size) == words
    assert size_in_words(size, up=True) == rounded_up
