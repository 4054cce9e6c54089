"""The mean of items and its standard error, and the interval of a share."""

from __future__ import annotations

import math
from collections.abc import Sequence

Z95 = 1.96
"""The number of standard errors to each side of a 95 % interval."""


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


def wilson_interval(share: float, n: int, z: float = Z95) -> tuple[float, float]:
    """Returns Wilson's interval of a share of n items, which depends on n even where all are right.

    Args:
        share: The share, from 0 to 1.
        n: The number of items, at least 1.
        z: The number of standard errors to each side; 1.96 for 95 %.

    Source: Wilson 1927, "Probable Inference, the Law of Succession, and Statistical Inference".
    """
    center = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, center - half), min(1.0, center + half)
