"""The headline table of a report."""

from __future__ import annotations

from sequela.analysis import check_validity
from sequela.reports.summary import SEVERAL, summarize
from sequela.results import Measurement, Suites
from support.measurements import perplexity


def cells(*measured: Measurement) -> list[tuple[float | None, str]]:
    checked = check_validity(measured, Suites({}))
    rows = summarize(checked, Suites({})).rows
    return [(cell.value, cell.text) for row in rows for cell in row.cells if cell is not None]


def test_two_results_under_one_label_are_not_averaged() -> None:
    ((value, _),) = cells(perplexity(2, 700.0))
    assert value == 700.0
    assert cells(perplexity(2, 700.0), perplexity(2, 800.0)) == [(None, SEVERAL)]
