"""Numbers of things in words."""

from __future__ import annotations


def number_of(noun: str, *counts: int) -> str:
    """Returns one or several numbers of things: `1 edit`, `3 edits`, `1, 5, 10 edits`.

    Args:
        noun: The noun in the singular, whose plural ends in `s`.
        counts: The numbers.
    """
    return f"{', '.join(map(str, counts))} {noun}{'' if counts == (1,) else 's'}"
