"""Formatting of numbers: shares, errors, differences, seconds, bytes."""

from __future__ import annotations

import math

from sequela.core.wording import size_in_words

NOT_SHOWN = "n/a"
"""The text in place of an invalid score."""


def capitalized(text: str) -> str:
    """Returns a text with its first letter capitalized and the rest unchanged."""
    return text[:1].upper() + text[1:]


def format_number(value: float | None, share: bool, count: bool = False) -> str:
    """Formats a value; returns a dash for None.

    Args:
        value: The value.
        share: Whether it is a share, which is written in percent.
        count: Whether it counts something, so that a whole number has no decimals.
    """
    if value is None:
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if share:
        return f"{100 * value:.1f} %"
    if count and math.isclose(value, round(value), rel_tol=0, abs_tol=1e-9):
        return f"{round(value):,}"
    return _format_plain(value, like=value)


def format_with_error(value: float | None, stderr: float | None, share: bool, count: bool = False) -> str:
    """Formats a value and its standard error to the same decimal place; that of a count has one decimal."""
    text = format_number(value, share, count)
    if value is None or stderr is None or not math.isfinite(value):
        return text
    if share:
        return f"{text} ± {100 * stderr:.1f}"
    return f"{text} ± {stderr:.1f}" if count else f"{text} ± {_format_plain(stderr, like=value)}"


def format_difference(value: float | None, share: bool, count: bool = False) -> str:
    """Formats a signed difference, in percentage points for shares; returns a dash for None or NaN."""
    if value is None or math.isnan(value):
        return "–"
    sign = "+" if value > 0 else "−" if value < 0 else "±"
    if share:
        return f"{sign}{100 * abs(value):.1f} pp"
    return f"{sign}{format_number(abs(value), share=False, count=count)}"


def format_seconds(seconds: float) -> str:
    """Formats a duration in a suitable unit, from milliseconds to hours."""
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    if seconds < 7200:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"


def format_bytes(count: int | None) -> str:
    """Returns a size in words; a dash for None."""
    return "–" if count is None else size_in_words(count)


def _format_plain(value: float, like: float) -> str:
    """Formats a number with the number of decimals that suits the magnitude of `like`."""
    size = abs(like)
    if size >= 1e6 or 0 < size < 1e-3:
        return f"{value:.2e}"
    decimals = 0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 1 else 4
    return f"{value:,.{decimals}f}"
