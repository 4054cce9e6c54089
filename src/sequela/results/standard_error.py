"""The mean of items and its standard error."""

from __future__ import annotations

import math
from collections.abc import Sequence


def mean_and_stderr(values: Sequence[float]) -> tuple[float | None, float | None]:
    """The mean of values and its standard error, `sqrt(s² / n)` with the sample variance `s²`.

    Returns:
        None for the mean of no values, None for the error of fewer than two.
    """
    n = len(values)
    if n == 0:
        return None, None
    mean = math.fsum(values) / n
    if n == 1:
        return mean, None
    variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
    return mean, math.sqrt(variance / n)
