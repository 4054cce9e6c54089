"""The captions of charts: a difference follows from the numbers beside it, or says what it is over."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from sequela.analysis import CheckedMeasurement
from sequela.reports.captions import caption_of
from sequela.reports.series import MetricSeries, group_into_series
from sequela.reports.tables import number_rows
from sequela.results import Comparison
from support.suites import SUITES


def efficacy(n_edits: int, value: float, editor: str = "rome", **more: object) -> CheckedMeasurement:
    return CheckedMeasurement.model_validate(
        {
            "model": "m",
            "editor": editor,
            "edit_source": "builtin",
            "order_seed": 0,
            "n_edits": n_edits,
            "suite": "edit_quality",
            "task": "success@edit",
            "metric": "efficacy",
            "protocol": "free_decoding",
            "value": value,
            "raw_value": value,
            "n": 5,
            **more,
        }
    )


def series_of(*measurements: CheckedMeasurement) -> MetricSeries:
    (series,) = group_into_series(measurements, SUITES)
    return series


UNASKED = efficacy(
    5, 0.8, baseline=0.2, n_too_long=1, shared=Comparison(value=1.0, baseline=0.25, n=4, n_lost=0)
)


def test_a_difference_over_fewer_items_names_them_and_both_values() -> None:
    caption = caption_of(series_of(UNASKED))
    assert "Unedited: 20.0 %." in caption
    assert (
        "rome 80.0 % (+75.0 pp over the 4 edits asked on both sides: 100.0 % against 25.0 %) after 5 edits"
    ) in caption


def test_a_difference_over_fewer_prompts_of_the_same_items_says_so() -> None:
    caption = caption_of(
        series_of(efficacy(5, 0.5, baseline=0.25, shared=Comparison(value=0.75, baseline=0.25, n=5)))
    )
    assert "(+50.0 pp over the prompts asked on both sides: 75.0 % against 25.0 %)" in caption


def test_a_baseline_that_is_not_the_captions_is_given() -> None:
    """Two methods dropped different edits, or one ended early: each has a baseline of its own."""
    caption = caption_of(
        series_of(efficacy(5, 0.75, baseline=0.25), efficacy(5, 0.5, editor="ike", baseline=0.5))
    )
    assert "rome 75.0 % (+50.0 pp against 25.0 % on the same items)" in caption
    assert "ike 50.0 % (±0.0 pp against 50.0 % on the same items)" in caption


def test_the_table_of_numbers_says_what_a_difference_is_over() -> None:
    (row,) = number_rows([series_of(UNASKED)])
    assert (row.value, row.baseline, row.difference) == ("80.0 %", "20.0 %", "+75.0 pp (n = 4)")
    assert row.note == "difference over the 4 edits asked on both sides: 100.0 % against 25.0 %"


percent = st.integers(0, 100).map(lambda number: number / 100)


@given(value=percent, baseline=percent, own=percent, base=percent, n=st.integers(1, 5), split=st.booleans())
def test_a_difference_is_that_of_the_numbers_it_stands_with(
    value: float, baseline: float, own: float, base: float, n: int, split: bool
) -> None:
    shared = Comparison(value=own, baseline=base, n=n) if split else None
    caption = caption_of(series_of(efficacy(5, value, baseline=baseline, shared=shared)))
    unedited, shown = (float(re.search(f"{name} ([0-9.]+) %", caption)[1]) for name in ("Unedited:", "rome"))  # type: ignore[index]
    sign, size = re.search(r"\(([+−±])([0-9.]+) pp", caption).groups()  # type: ignore[union-attr]
    pair = re.search(r"sides: ([0-9.]+) % against ([0-9.]+) %", caption)
    left, right = map(float, pair.groups()) if pair else (shown, unedited)
    assert float(size) * (-1 if sign == "−" else 1) == round(left - right, 1)
