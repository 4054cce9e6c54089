"""The rules on single measurements; on whole suites: tests/evaluation/lm_eval/test_misbehaving_models.py."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequela.analysis import CheckedMeasurement, Collapses, check_validity
from sequela.analysis.validity import is_impossible
from sequela.results import AnswerDistribution, Measurement
from support.suites import SUITES


def measured(n_edits: int, value: float | None, **changes: object) -> Measurement:
    fields: dict[str, object] = {
        "model": "m",
        "editor": "rome" if n_edits else "none",
        "edit_source": "builtin",
        "order_seed": 0,
        "n_edits": n_edits,
        "suite": "mmlu",
        "task": "mmlu@1",
        "metric": "accuracy",
        "protocol": "letters",
        "value": value,
        "n": 100,
        "form": AnswerDistribution(chance=0.25, answers={"A": 30, "B": 25, "C": 25, "D": 20}),
    }
    return Measurement.model_validate({**fields, **changes})


def perplexity(n_edits: int, value: float, **changes: object) -> Measurement:
    named = {"suite": "perplexity", "task": "fixed_text", "metric": "perplexity", "form": None}
    return measured(n_edits, value, **{**named, "baseline": 20.0, **changes})


def only(*measurements: Measurement) -> CheckedMeasurement:
    return check_validity(measurements, SUITES)[-1]


class TestGranularity:
    @given(st.integers(1, 5000), st.data())
    def test_every_share_of_n_is_possible(self, n: int, data: st.DataObject) -> None:
        k = data.draw(st.integers(0, n))
        assert not is_impossible(k / n, n)
        assert not is_impossible(round(k / n, 4), n, decimals=4)

    @pytest.mark.parametrize(
        ("value", "n"), [(0.1048, 1319), (0.0886, 1319), (0.0191, 1319), (0.5264, 1221), (0.0026, 1221)]
    )
    def test_published_scores_that_no_count_gives(self, value: float, n: int) -> None:
        assert is_impossible(value, n, decimals=4)

    @pytest.mark.parametrize(("value", "n"), [(0.2521, 817), (0.4284, 817), (0.5667, 817), (0.1440, 1319)])
    def test_published_scores_that_are_counts(self, value: float, n: int) -> None:
        assert not is_impossible(value, n, decimals=4)

    def test_it_invalidates_a_score(self) -> None:
        one = only(measured(5, 0.3333))
        assert one.invalid_because == "D8: no number of correct answers among 100 gives 0.333300"
        assert (one.value, one.raw_value) == (None, 0.3333)


class TestWithoutAHistogram:
    def test_the_score_of_a_constant_answer_suffices(self) -> None:
        form = AnswerDistribution(chance=0.5, constants={"No": 0.57, "Yes": 0.43})
        toxigen = {"suite": "toxigen", "task": "toxigen@1", "form": form}
        assert only(measured(5, 0.57, **toxigen)).invalid_because.startswith(
            "D1: the score is what always answering 'No'"
        )
        assert only(measured(5, 0.58, **toxigen)).invalid_because  # one item away
        assert only(measured(5, 0.60, **toxigen)).flags == ()

    def test_a_histogram_must_have_a_dominant_answer(self) -> None:
        form = AnswerDistribution(chance=0.25, constants={"A": 0.3, "B": 0.7}, answers={"A": 55, "B": 45})
        assert only(measured(5, 0.3, form=form)).flags == ()
        mostly = form.model_copy(update={"answers": {"A": 85, "B": 15}})
        assert only(measured(5, 0.3, form=mostly)).invalid_because.startswith("D1")


class TestCollapse:
    def test_by_perplexity(self) -> None:
        found = Collapses.among([perplexity(0, 20.0), perplexity(10, 150.0), perplexity(20, 250.0)], SUITES)
        (one,) = found.first()
        assert (one.healthy, one.collapsed) == (10, 20)
        assert one.where == "between edits 10 and 20"
        assert one.reason == "its perplexity is 250, 12 times the unedited model's"

    def test_a_very_large_perplexity_is_written_as_a_power_of_ten(self) -> None:
        broken = perplexity(10, 1.9e11)
        assert "is 1.9e11, 9.5e9 times" in Collapses.among([broken], SUITES).reason(broken)

    def test_located_at_one_edit_if_checkpoints_are_adjacent(self) -> None:
        found = Collapses.among([perplexity(19, 150.0), perplexity(20, 250.0), perplexity(21, 300.0)], SUITES)
        assert [one.where for one in found.first()] == ["at edit 20"]

    def test_by_a_non_finite_perplexity(self) -> None:
        broken = perplexity(10, 1.0).model_copy(update={"value": None, "n_nonfinite": 3})
        assert Collapses.among([broken], SUITES).reason(broken) == "its perplexity is no longer finite"

    def test_by_ability_above_chance(self) -> None:
        lost = [measured(10, 0.35, baseline=0.75), measured(10, 0.30, baseline=0.65, task="other@1")]
        assert Collapses.among(lost, SUITES).reason(lost[0]) == "16% of its ability above chance is left"
        kept = [measured(10, 0.55, baseline=0.75)]
        assert Collapses.among(kept, SUITES).reason(kept[0]) == ""

    def test_tasks_without_headroom_are_ignored(self) -> None:
        assert Collapses.among([measured(10, 0.0, baseline=0.26)], SUITES).first() == []


def test_a_copy_of_a_collapsed_model_names_the_other_method() -> None:
    answers = AnswerDistribution(chance=0.2, answers={"A": 60, "B": 40})
    one = measured(10, 0.23, form=answers)
    other = measured(10, 0.23, form=answers, editor="kn", n=100)
    found = check_validity([one, other, perplexity(10, 9000.0, editor="kn")], SUITES)
    assert found[0].invalid_because.startswith(
        "D3: score and answers match, item for item, those of kn on m after 10 edits"
    )
    differing = measured(10, 0.23, form=answers.model_copy(update={"answers": {"A": 59, "B": 41}}))
    assert check_validity([differing, other, perplexity(10, 9000.0, editor="kn")], SUITES)[0].flags == ()


def test_edit_quality_and_health_are_not_checked() -> None:
    edit = measured(5, 0.0, suite="edit_quality", task="retention@n")
    assert only(edit).flags == ()
    assert only(perplexity(5, 1e9)).flags == ()


def test_an_accuracy_is_invalid_if_the_classes_are_not_distinguished() -> None:
    form = AnswerDistribution(
        chance=0.5, constants={"No": 0.77, "Yes": 0.23}, answers={"Yes": 560, "No": 340}
    )
    named = {"suite": "toxigen", "task": "toxigen@1", "protocol": "loglikelihood", "n": 900}
    base = measured(0, 379 / 900, form=form, stderr=0.016, **named)
    after = measured(10, 560 / 900, form=form, stderr=0.016, baseline=379 / 900, **named)
    halves = AnswerDistribution(chance=0.5)
    blind = measured(0, 0.484, metric="balanced_accuracy", form=halves, stderr=0.019, **named)
    assert check_validity([base, blind, after], SUITES)[-1].invalid_because.startswith(
        "D6: no headroom: the unedited model doesn't distinguish"
    )
    sees = blind.model_copy(update={"value": 0.62})
    assert check_validity([base, sees, after], SUITES)[-1].flags == ()
