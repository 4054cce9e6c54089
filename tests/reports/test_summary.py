"""The headline table of a report."""

from __future__ import annotations

from sequela.analysis import check_validity
from sequela.reports.footnotes import footnotes
from sequela.reports.summary import (
    CHANGED_CELL,
    SEVERAL,
    SUPERSEDED_CELL,
    Summary,
    SummaryCell,
    SummaryRow,
    summarize,
)
from sequela.results import Measurement, Suites
from support.measurements import expressed, perplexity


def cells(*measured: Measurement) -> list[tuple[float | None, str]]:
    checked = check_validity(measured, Suites({}))
    rows = summarize(checked, Suites({})).rows
    return [(cell.value, cell.text) for row in rows for cell in row.cells if cell is not None]


def test_two_results_under_one_label_are_not_averaged() -> None:
    ((value, _),) = cells(perplexity(2, 700.0))
    assert value == 700.0
    assert cells(perplexity(2, 700.0), perplexity(2, 800.0)) == [(None, SEVERAL)]


def counted(n_edits: int, metric: str, value: float, n: int) -> Measurement:
    return expressed(n_edits, value, metric=metric, protocol="from_edits", n=n)


def scored(n_edits: int, metric: str, value: float | None, protocol: str = "free_decoding") -> Measurement:
    return expressed(n_edits, value, metric=metric, protocol=protocol, n=0 if value is None else 2)


def rows(*measured: Measurement) -> tuple[Summary, dict[str, list[str]]]:
    summary = summarize(check_validity(measured, Suites({})), Suites({}))
    texts = {
        column.title: ["" if row.cells[i] is None else row.cells[i].text for row in summary.rows]  # type: ignore[union-attr]
        for i, column in enumerate(summary.columns)
    }
    return summary, texts


def test_counts_are_whole_numbers_and_nothing_to_count_is_zero() -> None:
    _, texts = rows(
        scored(0, "efficacy", 0.5),
        scored(1, "efficacy", 1.0),
        expressed(1, 1.0, stderr=1.0),
        scored(5, "efficacy", 1.0),
        expressed(5, 2.9999999999, stderr=0.866),
        counted(5, "superseded", 1.0, 5),
    )
    assert texts["retention@n, effective edits"] == ["0", "1 ± 1.0", "3 ± 0.9"]
    assert texts["retention@n, superseded edits"] == ["0", "0", "1"]


def test_a_cell_says_why_nothing_is_left_to_measure() -> None:
    summary, texts = rows(
        scored(1, "paraphrase", 1.0),
        scored(1, "neighborhood", 1.0),
        scored(5, "paraphrase", None),
        scored(5, "neighborhood", None),
        counted(5, "superseded", 1.0, 5),
        counted(5, "edited_neighbors", 2.0, 2),
    )
    assert texts["retention@n, paraphrase"] == ["100.0 %", SUPERSEDED_CELL]
    assert texts["retention@n, neighborhood"] == ["100.0 %", CHANGED_CELL]
    below = "\n".join(footnotes(summary))
    for text in (SUPERSEDED_CELL, CHANGED_CELL, "measured by free decoding"):
        assert text in below


def test_a_protocol_that_is_not_the_default_is_named() -> None:
    summary, texts = rows(scored(1, "neighborhood", 1.0, "agreement"), scored(1, "efficacy", 1.0))
    assert set(texts) == {"retention@n, efficacy", "retention@n, neighborhood, agreement"}
    (only,) = footnotes(summary)
    assert only == "Edit quality is measured by free decoding where no other protocol is named."


def test_each_rule_that_hides_a_score_is_explained_once() -> None:
    rule = SummaryCell(None, None, 4, "n/a (D6)", ("D6",))
    row = SummaryRow("m", "rome", "builtin", None, 0, 1, (rule, rule))
    (line,) = footnotes(Summary((), (row, row)))
    assert line.startswith("n/a (D6), no headroom: the unedited model scores like guessing")
    assert "more items" in line
    assert "measuring.md" in line
