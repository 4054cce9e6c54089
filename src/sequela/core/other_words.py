"""Keys that are known by another word: in the glossary, in other programs, in the plural."""

from __future__ import annotations

from collections.abc import Mapping


def meant_by(key: str, other_words: Mapping[str, tuple[str, ...]]) -> str:
    """Returns the key that another word stands for, whether in the singular or plural; empty if none.

    Args:
        key: The word.
        other_words: The other words for each key, in the singular.
    """
    word = _singular(key)
    return next((meant for meant, words in other_words.items() if word in map(_singular, words)), "")


def _singular(word: str) -> str:
    """Returns a word in small letters without separators, and without the `s` of the plural."""
    return word.casefold().replace("_", "").replace("-", "").replace(" ", "").rstrip("s")
