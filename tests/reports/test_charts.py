from __future__ import annotations

import json
import math
from typing import Any

import pytest

from sequela.reports.charts import PALETTE, seconds_chart, series_chart, strokes_of
from sequela.reports.series import MetricSeries, group_into_series
from sequela.results import Measurement
from support.suites import SUITES


def panel(values: dict[int, float | None], metric: str = "accuracy", editor: str = "rome") -> MetricSeries:
    found = [
        Measurement(
            model="m",
            editor=editor,
            edit_source="builtin",
            order_seed=0,
            n_edits=n_edits,
            suite="s",
            task="t",
            metric=metric,
            protocol="p",
            value=value,
            stderr=0.1,
            n=10,
            baseline=0.5,
        )
        for n_edits, value in values.items()
    ]
    return group_into_series(found, SUITES)[0]


def rows_of(chart: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for rows in chart["datasets"].values() for row in rows if "n_edits" in row]


def scale_of(chart: dict[str, Any], channel: str) -> dict[str, Any]:
    return chart["layer"][-1]["encoding"][channel]["scale"]


def test_checkpoints_that_span_magnitudes_get_a_logarithmic_axis_with_zero() -> None:
    far = series_chart(panel({0: 0.5, 1: 0.4, 10: 0.4, 1000: 0.3}), ["rome"])
    near = series_chart(panel({0: 0.5, 1: 0.4, 20: 0.3}), ["rome"])
    assert scale_of(far, "x")["type"] == "symlog"
    assert "type" not in scale_of(near, "x")


def test_shares_are_drawn_from_zero_to_one_and_perplexity_logarithmically() -> None:
    assert scale_of(series_chart(panel({1: 0.5}), ["rome"]), "y")["domain"] == [0, 1]
    assert scale_of(series_chart(panel({1: 0.05}, "perplexity"), ["rome"]), "y")["type"] == "log"


def test_error_bars_on_a_logarithmic_axis_stay_above_zero() -> None:
    (row,) = rows_of(series_chart(panel({1: 0.05}, "perplexity"), ["rome"]))
    assert row["low"] == 0.05
    assert row["high"] == pytest.approx(0.05 + 1.96 * 0.1)


def test_values_that_are_not_finite_never_reach_the_page() -> None:
    chart = series_chart(panel({1: 30.0, 5: None, 10: math.inf}, "perplexity"), ["rome"])
    assert [row["n_edits"] for row in rows_of(chart)] == [1]
    json.dumps(chart, allow_nan=False)


def test_a_method_keeps_its_color_in_every_chart() -> None:
    labels = ["ft-m", "rome"]
    for chart in (
        series_chart(panel({1: 0.5}), labels),
        series_chart(panel({1: 0.5}, editor="ft-m"), labels),
    ):
        scale = scale_of(chart, "color")
        assert dict(zip(scale["domain"], scale["range"], strict=True))["rome"] == PALETTE[1]
    (color,) = seconds_chart([("edit", "rome", 1.0)], labels)["encoding"]["color"]["scale"]["range"]
    assert color == PALETTE[1]


def test_a_method_without_measurements_has_a_color_in_the_cost_chart() -> None:
    rows = [("statistics", "rome (p-rome)", 1.0), ("evaluate", "unedited", 2.0), ("load model", "", 3.0)]
    scale = seconds_chart(rows, ["ft-m"])["encoding"]["color"]["scale"]
    assert scale["domain"] == ["rome (p-rome)", "unedited", "all methods"]
    assert scale["range"][0] == PALETTE[1]
    assert len(set(scale["range"])) == 3


def test_lines_of_equal_color_have_different_dashes() -> None:
    labels = [f"method-{number:02}" for number in range(3 * len(PALETTE))]
    assert len(set(strokes_of(labels))) == len(labels)
    lines = series_chart(panel({1: 0.5}), labels)["layer"][2]["encoding"]
    dashes = lines["strokeDash"]["scale"]["range"]
    assert dashes[0] == dashes[1] == [1, 0]
    assert dashes[0] != dashes[len(PALETTE)]


def test_points_of_many_methods_stay_near_their_checkpoint() -> None:
    labels = [f"method-{number:02}" for number in range(20)]
    for label in (labels[0], labels[-1]):
        (row,) = rows_of(series_chart(panel({20: 0.5}, editor=label), labels))
        assert row["x"] == pytest.approx(20, abs=0.05 * 20)


def test_points_of_methods_are_offset_at_a_checkpoint() -> None:
    labels = ["ft-m", "rome"]
    (left,) = rows_of(series_chart(panel({20: 0.5}, editor="ft-m"), labels))
    (right,) = rows_of(series_chart(panel({20: 0.5}), labels))
    assert left["x"] < 20 < right["x"]
    assert left["n_edits"] == right["n_edits"] == 20


def test_no_specification_contains_a_url() -> None:
    assert "http" not in json.dumps(series_chart(panel({1: 0.5}), ["rome"]))
