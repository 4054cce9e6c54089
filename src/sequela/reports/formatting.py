"""How numbers are written: shares, errors, differences, seconds, bytes."""

from __future__ import annotations

import math

from sequela.reports.labels import MEANINGS
from sequela.results import EFFECTIVE_EDITS, Suites

NOT_SHOWN = "n/a"
"""What stands in the place of a score that a rule spoils."""


LOGARITHMIC_METRICS = frozenset({"perplexity"})
"""Metrics that change by factors, and so are drawn on a logarithmic axis."""

NO_SHARES = LOGARITHMIC_METRICS | {EFFECTIVE_EDITS, "fluency", "ngram_entropy", "answer_words", "loss"}
"""Metrics that are no share of items, whatever their values."""


def task_in_words(task: str, suites: Suites) -> str:
    """The name of a task as it is read: `mmlu_anatomy@1` becomes `MMLU anatomy (v1)`."""
    return task if task in MEANINGS else suites.words(task)


def is_share(metric: str, values: list[float | None]) -> bool:
    """Whether a quantity is a share of items, to be written in percent."""
    finite = [value for value in values if value is not None]
    return metric not in NO_SHARES and bool(finite) and all(0 <= value <= 1 for value in finite)


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
