"""Numbers of things, and places in files, in words."""

from __future__ import annotations

from collections.abc import Iterable


def number_of(noun: str, *counts: int) -> str:
    """Returns one or several numbers of things: `1 edit`, `3 edits`, `1, 5, 10 edits`.

    Args:
        noun: The noun in the singular, whose plural ends in `s`.
        counts: The numbers.
    """
    return f"{', '.join(map(str, counts))} {noun}{'' if counts == (1,) else 's'}"


def key_of(location: Iterable[object]) -> str:
    """Returns the keys that lead to a value, with dots between them, such as `editors.2.name`.

    The entries of a list are numbered from 1, as records, choices and lines are.

    Args:
        location: The keys, which are texts, and the indices of entries, from 0.
    """
    return ".".join(str(one + 1 if isinstance(one, int) else one) for one in location)
