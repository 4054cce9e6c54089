from __future__ import annotations

import math

import pytest

from sequela.analysis import CheckedMeasurement
from sequela.reports.captions import caption_of
from sequela.reports.formatting import format_difference, format_number
from sequela.reports.series import group_into_series
from sequela.reports.summary import summarize
from sequela.reports.tables import number_rows
from sequela.results import Comparison, MetricInfo, Section, SuiteInfo, Suites, Unit
from support.suites import SUITES


def measured(
    n_edits: int,
    value: float | None,
    editor: str = "rome",
    task: str = "mmlu",
    suite: str = "mmlu",
    metric: str = "accuracy",
    protocol: str = "loglikelihood",
    **more: object,
) -> CheckedMeasurement:
    return CheckedMeasurement.model_validate(
        {
            "model": "m",
            "editor": editor,
            "edit_source": "builtin",
            "order_seed": 0,
            "n_edits": n_edits,
            "suite": suite,
            "task": task,
            "metric": metric,
            "protocol": protocol,
            "value": value,
            "raw_value": value,
            "n": 10,
            **more,
        }
    )


def test_curves_start_at_the_unedited_model_and_separate_shuffle_seeds() -> None:
    base = measured(0, 0.5, editor="none")
    found = [base, measured(5, 0.4), measured(1, 0.45), measured(5, 0.3, order_seed=1, baseline=0.5)]
    (series,) = group_into_series(found, SUITES)
    assert [(curve.order_seed, [point.n_edits for point in curve.points]) for curve in series.curves] == [
        (0, [0, 1, 5]),
        (1, [0, 5]),
    ]
    assert series.baseline == ((5, 0.5),)
    assert series.seeds == 2
    assert series.share


def test_curves_separate_samples_and_start_at_their_own_unedited_model() -> None:
    of_edits = {"suite": "edit_quality", "task": "retention@n", "metric": "efficacy"}
    before = [
        measured(0, value, editor="none", edit_sample=i, **of_edits) for i, value in ((0, 0.1), (1, 0.3))
    ]
    after = [measured(5, 0.9, edit_sample=i, baseline=one.value, **of_edits) for i, one in enumerate(before)]
    others = [measured(0, 0.5, editor="none"), *(measured(5, 0.4, edit_sample=i) for i in (0, 1))]
    edits, benchmark = group_into_series([*before, *after, *others], SUITES)
    assert [(one.edit_sample, one.points[0].value) for one in edits.curves] == [(0, 0.1), (1, 0.3)]
    assert [(one.edit_sample, one.points[0].value) for one in benchmark.curves] == [(0, 0.5), (1, 0.5)]
    assert edits.baseline == ((5, pytest.approx(0.2)),)
    assert (edits.samples, edits.seeds) == (2, 1)
    assert [row.edit_sample for row in number_rows([edits])] == [0, 0, 1, 1]
    assert all(f"rome (sample {i}) 90.0 %" in caption_of(edits) for i in (0, 1))


def test_success_and_retention_are_never_in_one_series() -> None:
    found = [
        measured(1, 1.0, suite="edit_quality", task=task, metric="efficacy", protocol=protocol)
        for task in ("success@edit", "retention@n")
        for protocol in ("free_decoding", "teacher_forced")
    ]
    assert len(group_into_series(found, SUITES)) == 4


def test_baselines_may_differ_between_checkpoints() -> None:
    (series,) = group_into_series([measured(1, 0.4, baseline=0.6), measured(5, 0.4, baseline=0.5)], SUITES)
    assert series.baseline == ((1, 0.6), (5, 0.5))


def test_an_unedited_model_alone_has_a_series() -> None:
    (series,) = group_into_series([measured(0, 0.5, editor="none")], SUITES)
    assert [curve.label for curve in series.curves] == ["unedited"]


@pytest.mark.parametrize("value", [None, math.inf])
def test_values_that_cannot_be_drawn_are_listed(value: float | None) -> None:
    (series,) = group_into_series([measured(1, 0.5), measured(5, value, metric="accuracy")], SUITES)
    assert [point.n_edits for point in series.undrawn] == [5]


def test_summary_means_need_all_tasks() -> None:
    found = [
        measured(0, 0.8, editor="none", suite="builtin", task="reading", stderr=0.3),
        measured(0, 0.6, editor="none", suite="builtin", task="arithmetic", stderr=0.4),
        measured(5, 0.4, suite="builtin", task="reading", stderr=0.3),
        measured(5, 0.25, stderr=0.1),
        measured(5, 0.9, task="mmlu_anatomy", group="mmlu", subtask="anatomy"),
    ]
    summary = summarize(found, SUITES)
    assert [column.title for column in summary.columns] == [
        "builtin, mean of 2 tasks, accuracy",
        "MMLU, accuracy",
    ]
    unedited, edited = summary.rows
    assert unedited.label == "unedited"
    cell = unedited.cells[0]
    assert cell is not None
    assert cell.value == pytest.approx(0.7)
    assert cell.stderr == pytest.approx(math.sqrt(0.3**2 + 0.4**2) / 2)
    assert cell.n == 20
    assert cell.text == "70.0 % ± 25.0"
    assert unedited.cells[1] is None
    assert edited.cells[0] is None
    assert edited.cells[1] is not None
    assert edited.cells[1].value == 0.25


def test_summary_shows_success_and_retention_by_free_decoding() -> None:
    found = [
        measured(1, value, suite="edit_quality", task=task, metric="efficacy", protocol=protocol)
        for task, value in (("success@edit", 1.0), ("retention@n", 0.5))
        for protocol in ("teacher_forced", "free_decoding", "probability")
    ]
    summary = summarize(found, SUITES)
    assert [(column.tasks, column.protocol) for column in summary.columns] == [
        (("success@edit",), "free_decoding"),
        (("retention@n",), "free_decoding"),
    ]
    assert [cell.value for cell in summary.rows[0].cells if cell] == [1.0, 0.5]


def test_a_common_prefix_does_not_make_a_task_a_subtask() -> None:
    """Two tasks of a plug-in; the name of one is a prefix of the other's."""
    found = [measured(1, 0.5, suite="own", task=task) for task in ("sums", "sums_hard")]
    (column,) = summarize(found, SUITES).columns
    assert column.tasks == ("sums", "sums_hard")
    part = measured(1, 0.5, suite="own", task="sums_hard", group="sums", subtask="hard")
    (column,) = summarize([found[0], part], SUITES).columns
    assert column.tasks == ("sums",)


def test_units_and_titles_come_from_the_metric_and_not_from_its_values() -> None:
    """All values are between 0 and 1, like shares."""
    own = MetricInfo(name="speed", title="Speed", unit=Unit.SHARE, section=Section.HEALTH)
    suites = Suites({"own": SuiteInfo(metrics={"speed": own})})
    names = ("accuracy", "kl_to_base", "speed", "somebodys_metric")
    series_list = group_into_series([measured(1, 0.5, suite="own", metric=name) for name in names], suites)
    assert [series.share for series in series_list] == [True, False, True, False]
    assert [series.metric.label for series in series_list] == [
        "accuracy",
        "KL to base",
        "Speed",
        "somebodys metric",
    ]
    assert [series.section.value for series in series_list] == ["Abilities", "Health", "Health", "Abilities"]


def test_formatting_of_numbers() -> None:
    assert format_number(0.3125, share=True) == "31.2 %"
    assert format_number(None, share=True) == "–"
    assert format_number(21.0, share=False) == "21.00"
    assert format_number(12345.6, share=False) == "12,346"
    assert format_number(1.5e9, share=False) == "1.50e+09"
    assert format_number(math.inf, share=False) == "∞"
    assert format_difference(-0.05, share=True) == "−5.0 pp"
    assert format_difference(2.5, share=False) == "+2.50"


def test_differences_are_over_the_items_that_both_models_answered() -> None:
    base = measured(0, 0.6, editor="none", baseline=0.6)
    both = measured(5, 0.3, baseline=0.6, n_too_long=5, shared=Comparison(value=0.6, baseline=0.6, n=5))
    unknown = measured(7, 0.3, baseline=0.6, n_too_long=5)  # of a run that an earlier version made
    lower = measured(9, 0.5, baseline=0.6)
    rows = number_rows(group_into_series([base, both, unknown, lower], SUITES))
    found = {row.n_edits: row.difference for row in rows if row.label == "rome" and row.n_edits}
    nothing, points = format_difference(None, share=True), format_difference
    assert found == {5: f"{points(0.0, share=True)} (n = 5)", 7: nothing, 9: points(0.5 - 0.6, share=True)}
