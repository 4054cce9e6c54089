"""Numbers of things, sizes in bytes, and places in files, in words."""

from __future__ import annotations

import math
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


def size_in_words(size: float, *, up: bool = False) -> str:
    """Returns a number of bytes as people read it: `512 bytes`, `1.5 MiB`, `2.25 GiB`.

    Below 1 KiB it is exact, then it has one decimal in KiB and MiB and two in GiB, rounded to the nearest.

    Args:
        size: The number of bytes; `math.inf` for a size without a limit.
        up: Rounds up instead, for a size that has to suffice.
    """
    if size < 1024:
        return number_of("byte", math.ceil(size))
    for unit, bytes_of_unit in (("KiB", 2**10), ("MiB", 2**20)):
        if size < 1000 * bytes_of_unit:
            return f"{_rounded(size / bytes_of_unit, 1, up):.1f} {unit}"
    return f"{_rounded(size / 2**30, 2, up):.2f} GiB"


def _rounded(value: float, decimals: int, up: bool) -> float:
    return math.ceil(value * 10**decimals) / 10**decimals if up and math.isfinite(value) else value
