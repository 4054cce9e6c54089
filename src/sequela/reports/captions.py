"""The captions of charts: what the last points show, compared with the unedited model."""

from __future__ import annotations

import math
from collections import defaultdict

from sequela.analysis import CheckedMeasurement
from sequela.core.wording import number_of
from sequela.reports.formatting import capitalized, format_difference, format_number
from sequela.reports.series import Curve, MetricSeries
from sequela.results import EDIT_QUALITY, Comparison


def caption_of(series: MetricSeries) -> str:
    """Describes a chart in words: its caption, which is also the text for screen readers.

    A difference that does not follow from the value and the unedited value beside it is given with the two
    values and the items that it is over.
    """
    sentences = []
    meaning = series.metric.meaning
    if series.suite == EDIT_QUALITY and meaning:
        sentences.append(f"{capitalized(meaning)}.")
    baseline = series.baseline[-1][1] if series.baseline else None
    if baseline is not None:
        sentences.append(f"Unedited: {_number(baseline, series)}.")
    ends = []
    for curve in series.curves:
        last = curve.points[-1]
        if last.n_edits == 0:
            continue
        value = _number(last.value, series)
        ends.append(
            f"{curve.label}{_order(curve, series)} {value}{_change(last, baseline, series)} "
            f"after {number_of('edit', last.n_edits)}"
        )
    if ends:
        sentences.append(f"{'; '.join(ends)}.")
    for reason, members in _undrawn(series).items():
        checkpoints = [f"{one.label} after {number_of('edit', one.n_edits)}" for one in members]
        sentences.append(f"Not drawn, because {reason}: {', '.join(checkpoints)}.")
    return " ".join(sentences)


def _order(curve: Curve, series: MetricSeries) -> str:
    """Returns the sample and the shuffle seed of a curve, in parentheses, if the series has several."""
    parts = []
    if series.samples > 1:
        parts.append(f"sample {curve.edit_sample}")
    if series.seeds > 1:
        parts.append(f"seed {curve.order_seed}")
    return f" ({', '.join(parts)})" if parts else ""


def basis_of_difference(one: CheckedMeasurement, series: MetricSeries) -> str:
    """Returns the items of a difference with both values over them; empty if value and baseline give it.

    Args:
        one: The measurement.
        series: The series that it belongs to.
    """
    shared = one.shared
    if shared is None or one.difference is None or not math.isfinite(one.difference):
        return ""
    if (shared.value, shared.baseline) == (one.value, one.baseline):
        return ""
    return f"{_items_of(shared, one.n, series)}: {_pair(shared, series)}"


def _change(last: CheckedMeasurement, baseline: float | None, series: MetricSeries) -> str:
    """Returns the difference of a last point from the unedited model, in parentheses; empty if unknown.

    Args:
        last: The last point.
        baseline: The unedited value that the caption shows.
        series: The series.
    """
    difference = last.difference
    if last.baseline is None and last.shared is None and last.value is not None and baseline is not None:
        difference = last.value - baseline
    if difference is None or not math.isfinite(difference):
        return ""
    text = format_difference(difference, series.share, series.count)
    if basis := basis_of_difference(last, series):
        return f" ({text} {basis})"
    if last.baseline is not None and _number(last.baseline, series) != _number(baseline, series):
        return f" ({text} against {_number(last.baseline, series)} on the same items)"
    return f" ({text})"


def _items_of(shared: Comparison, n: int, series: MetricSeries) -> str:
    """Names the items of a comparison; if these are all of the score's, its prompts are fewer."""
    what = "edit" if series.suite == EDIT_QUALITY else "item"
    if shared.n == n:
        return "over the prompts asked on both sides"
    return f"over the {number_of(what, shared.n)} asked on both sides"


def _pair(shared: Comparison, series: MetricSeries) -> str:
    return f"{_number(shared.value, series)} against {_number(shared.baseline, series)}"


def _number(value: float | None, series: MetricSeries) -> str:
    return format_number(value, series.share, series.count)


def _undrawn(series: MetricSeries) -> dict[str, list[CheckedMeasurement]]:
    """Returns the points that aren't drawn, by the reason."""
    undrawn: dict[str, list[CheckedMeasurement]] = defaultdict(list)
    for one in series.undrawn:
        reason = (
            f"the score is invalid ({one.invalid_because})"
            if one.invalid_because
            else "there is no finite value"
        )
        undrawn[reason].append(one)
    return undrawn
