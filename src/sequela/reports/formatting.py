"""How numbers are written: shares, errors, differences, seconds, bytes."""

from __future__ import annotations

import math

NOT_SHOWN = "n/a"
"""What stands in the place of a score that a rule invalidates."""


def capitalized(text: str) -> str:
    """The text with a capital at its beginning, the rest as it is."""
    return text[:1].upper() + text[1:]


def format_number(value: float | None, share: bool) -> str:
    """A value in percent if it is a share; a dash if there is none."""
    if value is None:
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if share:
        return f"{100 * value:.1f} %"
    return _format_plain(value, like=value)


def format_with_error(value: float | None, stderr: float | None, share: bool) -> str:
    """A value and its standard error, both to the same decimal place."""
    text = format_number(value, share)
    if value is None or stderr is None or not math.isfinite(value):
        return text
    return f"{text} ± {100 * stderr:.1f}" if share else f"{text} ± {_format_plain(stderr, like=value)}"


def format_difference(value: float | None, share: bool) -> str:
    """A signed difference, in percentage points if it is one of shares."""
    if value is None or math.isnan(value):
        return "–"
    sign = "+" if value > 0 else "−" if value < 0 else "±"
    if share:
        return f"{sign}{100 * abs(value):.1f} pp"
    return f"{sign}{format_number(abs(value), share=False)}"


def format_seconds(seconds: float) -> str:
    """A duration in the unit that reads best."""
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    if seconds < 7200:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"


def format_bytes(count: int | None) -> str:
    """A size in MiB or GiB; a dash if it isn't known."""
    if count is None:
        return "–"
    return f"{count / 2**30:.2f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def _format_plain(value: float, like: float) -> str:
    """A number with as many decimals as a number of the size of `like` deserves."""
    size = abs(like)
    if size >= 1e6 or 0 < size < 1e-3:
        return f"{value:.2e}"
    decimals = 0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 1 else 4
    return f"{value:,.{decimals}f}"
