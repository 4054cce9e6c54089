"""Vega-Lite charts, built with Altair; text and grid inherit the page's color to suit any theme."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from sequela.reports.series import MetricSeries
from sequela.results import UNEDITED, method_label
from sequela.results.standard_error import Z95

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#8C6BB1")
"""Those colors of Okabe and Ito (Color Universal Design, 2008) that suit white and black, and one more."""

DASHES = ((1, 0), (7, 3), (2, 2))
"""The dash patterns of lines; each pass through the palette uses the next one, starting with solid lines."""

GRAY = "#7F7F7F"

LIGHT_GRAY = "#B5B5B5"

SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right", "stroke")

_CHECKPOINT_SPREAD = 40
"""From this ratio of the last to the first checkpoint on, the number of edits has a logarithmic axis."""

_OFFSET = 0.011
"""The distance between points of adjacent methods, as a share of the axis; less for many methods."""

_MAX_SPREAD = 0.1
"""The maximum share of the axis over which the points of all methods are spread."""

_CHART_HEIGHT = 210
_UNEDITED_LABEL = method_label(UNEDITED, "")
_ALL_METHODS = "all methods"
_NO_METHODS = {_UNEDITED_LABEL: GRAY, _ALL_METHODS: LIGHT_GRAY}
"""The colors in the cost chart of labels that are not methods."""


@dataclass(frozen=True)
class Stroke:
    """The line style of a method.

    Args:
        color: The color.
        dashes: The lengths of dashes and gaps, in pixels.
    """

    color: str
    dashes: tuple[int, int]

    @property
    def svg_dashes(self) -> str:
        """The dash pattern as an SVG attribute value."""
        return " ".join(str(length) for length in self.dashes)


RetainedEdits = Mapping[tuple[str, str, int | None, int, int], float]
"""The number of expressed edits by model, method label, sample, shuffle seed and number of applied edits."""


def series_chart(
    series: MetricSeries, labels: Sequence[str], kept: RetainedEdits | None = None
) -> dict[str, Any]:
    """Charts a series against the number of edits.

    The chart has a curve per trajectory with 95 % error bars, and the unedited model as a dashed line.

    Args:
        series: The series.
        labels: All methods of the run, so that each has the same color in every chart.
        kept: The numbers of retained edits. If given, they are used as the horizontal axis instead of the
            numbers of applied edits.

    Returns:
        A Vega-Lite specification with its data, as wide as its container.
    """
    rows = _rows(series, labels, kept)
    x = _x_axis(series) if kept is None else _retained_axis()
    y = _y_axis(series)
    names = [*labels, _UNEDITED_LABEL]
    color = _color(names, labels)
    dashes = [list(stroke.dashes) for stroke in (*strokes_of(labels), Stroke(GRAY, DASHES[0]))]
    dash = alt.StrokeDash("label:N", scale=alt.Scale(domain=names, range=dashes), legend=None)
    shapes = [SHAPES[index % len(SHAPES)] for index in range(len(names))]
    shape = alt.Shape("label:N", scale=alt.Scale(domain=names, range=shapes), legend=None)
    base = alt.Chart(alt.InlineData(rows)).encode(x=x)
    sampled = any(curve.edit_sample is not None for curve in series.curves)
    trajectory = ["order_seed:N", "edit_sample:N"] if sampled else "order_seed:N"
    lines = base.mark_line(strokeWidth=2, clip=True).encode(
        y=y, color=color, strokeDash=dash, detail=trajectory, order="n_edits:Q"
    )
    bars = base.mark_rule(strokeWidth=1.5, opacity=0.6, clip=True).encode(
        y=_y_axis(series, "low"), y2=alt.Y2("high:Q"), color=color
    )
    precise = ".1%" if series.share else ".4~g"
    tooltip = [
        alt.Tooltip("label:N", title="method"),
        alt.Tooltip("n_edits:Q", title="edits applied"),
        *([] if kept is None else [alt.Tooltip("x:Q", title="edits retained")]),
        alt.Tooltip("value:Q", title=series.metric.label, format=precise),
        alt.Tooltip("stderr:Q", title="standard error", format=precise),
        alt.Tooltip("n:Q", title="items"),
        *([alt.Tooltip("edit_sample:N", title="sample")] if sampled else []),
        alt.Tooltip("order_seed:N", title="shuffle seed"),
    ]
    points = base.mark_point(filled=True, size=55, opacity=1).encode(
        y=y, color=color, shape=shape, tooltip=tooltip
    )
    return _finished(alt.layer(_baseline_layer(series, x, y), bars, lines, points))


def cost_colors(drawn: Iterable[str], labels: Sequence[str]) -> dict[str, str]:
    """Returns the colors in the cost chart, by label.

    Args:
        drawn: The labels of the methods that have costs; empty for steps shared by all methods.
        labels: All measured methods, so that each has the same color in every chart. Methods that have costs
            but no measurements, such as those of a stopped run, come after these.
    """
    used = dict.fromkeys(label or _ALL_METHODS for label in drawn)
    methods = [*labels, *(label for label in used if label not in {*labels, *_NO_METHODS})]
    colors = {label: stroke.color for label, stroke in zip(methods, strokes_of(methods), strict=True)}
    return {label: color for label, color in {**colors, **_NO_METHODS}.items() if label in used}


def seconds_chart(rows: Sequence[tuple[str, str, float]], labels: Sequence[str]) -> dict[str, Any]:
    """Charts the total time of each step as bars.

    Args:
        rows: The step, the method (empty for steps shared by all methods) and the time in seconds.
        labels: All measured methods, as in `cost_colors`.
    """
    values = [{"step": step, "label": label or _ALL_METHODS, "seconds": s} for step, label, s in rows]
    colors = cost_colors((label for _, label, _ in rows), labels)
    scale = alt.Scale(domain=list(colors), range=list(colors.values()))
    chart = (
        alt.Chart(alt.InlineData(values))
        .mark_bar(height=16)
        .encode(
            x=alt.X("sum(seconds):Q", title="seconds", axis=alt.Axis(grid=True, tickCount=5)),
            y=alt.Y("step:N", title=None, sort="-x", axis=alt.Axis(labelLimit=220)),
            color=alt.Color("label:N", scale=scale, legend=None),
            tooltip=[
                alt.Tooltip("step:N"),
                alt.Tooltip("label:N", title="method"),
                alt.Tooltip("sum(seconds):Q", title="seconds", format=".1f"),
            ],
        )
        .properties(width="container", height=26 * len({row["step"] for row in values}))
    )
    return _finished(chart, sized=True)


def strokes_of(labels: Sequence[str]) -> list[Stroke]:
    """Returns a stroke for each method; the first twenty-one strokes are distinct."""
    turns = [divmod(index, len(PALETTE)) for index in range(len(labels))]
    return [Stroke(PALETTE[index], DASHES[turn % len(DASHES)]) for turn, index in turns]


def _color(names: Sequence[str], labels: Sequence[str]) -> alt.Color:
    """Returns the color encoding of the methods; the last name, which is not a method, is gray."""
    colors = [*(stroke.color for stroke in strokes_of(labels)), GRAY]
    return alt.Color("label:N", scale=alt.Scale(domain=list(names), range=colors), legend=None)


def _rows(series: MetricSeries, labels: Sequence[str], kept: RetainedEdits | None) -> list[dict[str, Any]]:
    known = {label: index for index, label in enumerate(labels)}
    rows = []
    for curve in series.curves:
        for point in curve.points:
            if point.value is None or not math.isfinite(point.value):
                continue
            x: float | None = _with_offset(point.n_edits, known.get(curve.label, 0), len(labels), series)
            if kept is not None:
                checkpoint = (series.model, curve.label, curve.edit_sample, curve.order_seed, point.n_edits)
                x = 0.0 if point.n_edits == 0 else kept.get(checkpoint)
            if x is None:
                continue
            stderr = point.stderr if point.stderr is not None and math.isfinite(point.stderr) else None
            half = Z95 * (stderr or 0.0)
            low = point.value - half
            if series.metric.log_axis and low <= 0:
                low = point.value  # can't be drawn on a logarithmic axis; the upper half shows the error
            rows.append(
                {
                    "label": curve.label,
                    **({} if curve.edit_sample is None else {"edit_sample": curve.edit_sample}),
                    "order_seed": curve.order_seed,
                    "x": x,
                    "n_edits": point.n_edits,
                    "value": point.value,
                    "stderr": stderr,
                    "low": low,
                    "high": point.value + half,
                    "n": point.n,
                }
            )
    return rows


def _baseline_layer(series: MetricSeries, x: alt.X, y: alt.Y) -> alt.Chart:
    values = [{"x": n_edits, "value": value} for n_edits, value in series.baseline]
    if len({row["value"] for row in values}) <= 1:
        rule: alt.Chart = alt.Chart(alt.InlineData(values[:1])).mark_rule(
            color="currentColor", opacity=0.65, strokeDash=[5, 4], strokeWidth=1.5
        )
        return rule.encode(y=y)
    line: alt.Chart = alt.Chart(alt.InlineData(values)).mark_line(
        color="currentColor", opacity=0.65, strokeDash=[5, 4], strokeWidth=1.5
    )
    return line.encode(x=x, y=y)


def _retained_axis() -> alt.X:
    scale, axis = alt.Scale(nice=True, zero=True), alt.Axis(tickCount=6)
    return alt.X("x:Q", title="edits retained", scale=scale, axis=axis)


def _checkpoints(series: MetricSeries) -> list[int]:
    return sorted({point.n_edits for curve in series.curves for point in curve.points})


def _logarithmic(series: MetricSeries) -> bool:
    positive = [n_edits for n_edits in _checkpoints(series) if n_edits > 0]
    return bool(positive) and positive[-1] / positive[0] >= _CHECKPOINT_SPREAD


def _with_offset(n_edits: int, index: int, count: int, series: MetricSeries) -> float:
    """Returns the horizontal position of a point, shifted so that error bars of methods don't overlap.

    Args:
        n_edits: The number of edits of the point.
        index: The index of the method.
        count: The number of methods.
        series: The series, which determines the axis.
    """
    if n_edits == 0 or count < 2:
        return float(n_edits)
    step = min(_OFFSET, _MAX_SPREAD / count) * (index - (count - 1) / 2)
    if _logarithmic(series):
        span = math.log1p(_checkpoints(series)[-1])
        return math.expm1(math.log1p(n_edits) + step * span)
    return n_edits + step * _checkpoints(series)[-1]


def _x_axis(series: MetricSeries) -> alt.X:
    checkpoints = _checkpoints(series)
    last = max(checkpoints[-1], 1)
    if _logarithmic(series):
        scale = alt.Scale(type="symlog", constant=1, domain=[-0.05, last * 1.08], nice=False)
        title = "edits applied (logarithmic)"
    else:
        scale = alt.Scale(domain=[-0.02 * last, last * 1.03], nice=False)
        title = "edits applied"
    axis = alt.Axis(values=checkpoints, format=",d", labelOverlap="greedy", grid=False)
    return alt.X("x:Q", title=title, scale=scale, axis=axis)


def _y_axis(series: MetricSeries, field: str = "value") -> alt.Y:
    name = series.metric.label
    axis = alt.Axis(format=".0%" if series.share else "~g", tickCount=5)
    if series.metric.log_axis:
        axis = alt.Axis(format="~s", tickCount=5)
        return alt.Y(f"{field}:Q", title=f"{name} (logarithmic)", scale=alt.Scale(type="log"), axis=axis)
    if series.share:
        return alt.Y(f"{field}:Q", title=name, scale=alt.Scale(domain=[0, 1]), axis=axis)
    return alt.Y(f"{field}:Q", title=name, scale=alt.Scale(zero=False), axis=axis)


def _finished(chart: alt.Chart | alt.LayerChart | alt.FacetChart, sized: bool = False) -> dict[str, Any]:
    if not sized:
        chart = chart.properties(width="container", height=_CHART_HEIGHT)
    styled = (
        chart.properties(
            background="transparent", autosize=alt.AutoSizeParams(type="fit-x", contains="padding")
        )
        .configure(font="system-ui, sans-serif")
        .configure_view(stroke=None)
        .configure_axis(
            labelColor="currentColor",
            titleColor="currentColor",
            tickColor="currentColor",
            domainColor="currentColor",
            gridColor="currentColor",
            gridOpacity=0.14,
            domainOpacity=0.4,
            tickOpacity=0.4,
            labelFontSize=12,
            titleFontSize=12,
            titleFontWeight="normal",
            titlePadding=10,
        )
    )
    # Validation would take a third of the time; the tests validate every kind of chart.
    specification: dict[str, Any] = styled.to_dict(validate=False)
    del specification["$schema"]  # a URL, which the page doesn't need: it names the grammar itself
    return specification
