"""The mean of items and its standard error."""

from __future__ import annotations

import math
from collections.abc import Sequence


def mean_and_stderr(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Returns the mean of values and its standard error `sqrt(s² / n)`, where `s²` is the sample variance.

    Returns:
        The mean, or None if there are no values; the standard error, or None if there are fewer than two.
    """
    n = len(values)
    if n == 0:
        return None, None
    mean = math.fsum(values) / n
    if n == 1:
        return mean, None
    variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
    return mean, math.sqrt(variance / n)
