"""The rules on single measurements; on whole suites: tests/evaluation/lm_eval/test_misbehaving_models.py."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequela.analysis import CheckedMeasurement, Collapses, check_validity
from sequela.analysis.validity import is_impossible
from sequela.evaluation.multiple_choice import accuracy_result
from sequela.results import (
    AnswerDistribution,
    Comparison,
    ItemRecord,
    Labels,
    Measurement,
    TaskResult,
    with_answered_accuracy,
)
from sequela.studies.baseline import Baseline, measurements
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
        assert Collapses.among(lost, SUITES).reason(lost[0]) == (
            "17% of its ability above chance is left (95 % interval 2% to 33%, 200 items)"
        )
        kept = [measured(10, 0.55, baseline=0.75)]
        assert Collapses.among(kept, SUITES).reason(kept[0]) == ""

    def test_tasks_without_headroom_are_ignored(self) -> None:
        assert Collapses.among([measured(10, 0.0, baseline=0.26)], SUITES).first() == []


class TestCopiesOfACollapsedModel:
    """D3 compares items; two models that agree by chance, or for a good reason, keep their scores."""

    @staticmethod
    def scored(editor: str, chosen: list[int]) -> Measurement:
        """A score of items with the right answers No, Yes, No, … from the choices made."""
        records = [
            ItemRecord(
                suite="toxigen",
                task="toxigen@1",
                metric="accuracy",
                protocol="loglikelihood",
                item=str(i),
                value=float(choice == i % 2),
                details={"choices": ["No", "Yes"], "right": i % 2, "chosen": choice, "tie": False},
            )
            for i, choice in enumerate(chosen)
        ]
        n_edits = 0 if editor == "none" else 10
        labels = Labels(model="m", editor=editor, edit_source="builtin", order_seed=0, n_edits=n_edits)
        (one,) = measurements([accuracy_result(records)], labels, Baseline())
        return one

    @staticmethod
    def choices(n: int, wrong: Collection[int]) -> list[int]:
        return [1 - i % 2 if i in wrong else i % 2 for i in range(n)]

    def flags(self, *found: Measurement, more: Sequence[Measurement] = ()) -> dict[str, list[str]]:
        collapsed = perplexity(10, 9000.0)
        checked = check_validity([*found, collapsed, *more], SUITES)
        return {one.editor: [flag.rule for flag in one.flags] for one in checked if one.suite == "toxigen"}

    def test_the_same_answers_to_many_items_are_no_coincidence(self) -> None:
        same = self.choices(100, range(20, 60))
        flags = self.flags(self.scored("rome", same), self.scored("kn", same))
        assert flags == {"rome": [], "kn": ["D3"]}

    def test_the_other_method_is_named(self) -> None:
        same = self.choices(100, range(20, 60))
        scores = [self.scored("kn", same), self.scored("rome", same), perplexity(10, 9000.0)]
        found = check_validity(scores, SUITES)
        assert found[0].invalid_because.startswith(
            "D3: score and answers match, item for item, those of rome on m after 10 edits"
        )

    def test_the_same_score_and_counts_on_other_items_are_a_coincidence(self) -> None:
        one, other = self.choices(100, range(20, 60)), self.choices(100, range(30, 70))
        first, second = self.scored("rome", one), self.scored("kn", other)
        assert first.form is not None
        assert second.form is not None
        assert (first.value, first.form.answers) == (second.value, second.form.answers)
        assert self.flags(first, second) == {"rome": [], "kn": []}

    def test_the_same_answers_to_few_items_may_be_a_coincidence(self) -> None:
        few = self.choices(20, range(5))
        assert self.flags(self.scored("rome", few), self.scored("kn", few)) == {"rome": [], "kn": []}

    def test_models_that_are_right_everywhere_agree_for_a_good_reason(self) -> None:
        right = self.choices(200, ())
        assert self.flags(self.scored("rome", right), self.scored("kn", right)) == {"rome": [], "kn": []}

    def test_a_healthy_model_keeps_its_score(self) -> None:
        same = self.choices(100, range(20, 60))
        healthy = perplexity(10, 21.0, editor="kn")
        assert self.flags(self.scored("rome", same), self.scored("kn", same), more=[healthy])["kn"] == []

    def test_a_model_that_answers_as_before_its_edits_keeps_its_score(self) -> None:
        same = self.choices(100, range(20, 40))
        flags = self.flags(self.scored("none", same), self.scored("rome", same), self.scored("kn", same))
        assert flags == {"none": [], "rome": [], "kn": []}

    def test_results_without_items_are_not_accused(self) -> None:
        answers = AnswerDistribution(chance=0.2, answers={"A": 60, "B": 40})
        one, other = measured(10, 0.23, form=answers), measured(10, 0.23, form=answers, editor="kn")
        found = check_validity([one, other, perplexity(10, 9000.0, editor="kn")], SUITES)
        assert found[0].flags == ()


class TestItemsThatWereNotAnswered:
    """They are a category of their own: never a lost ability, never a reason to call a model collapsed."""

    @staticmethod
    def accuracy(editor: str, n_right: int, too_long: Collection[int] = (), n: int = 100) -> list[TaskResult]:
        items = [
            ItemRecord(
                suite="mmlu",
                task="mmlu@1",
                metric="accuracy",
                protocol="letters",
                item=str(i),
                value=float(i % n < n_right and i not in too_long),
                too_long=5000 if i in too_long else None,
                details={"choices": list("pqrs"), "right": i % 4, "chosen": None, "tie": False}
                if i in too_long
                else {
                    "choices": list("pqrs"),
                    "right": i % 4,
                    "chosen": i % 4 if i < n_right else (i + 1) % 4,
                    "tie": False,
                },
            )
            for i in range(n)
        ]
        return with_answered_accuracy([accuracy_result(items)])

    def measured(
        self, n_right: int, too_long: Collection[int], before: Collection[int] = ()
    ) -> list[Measurement]:
        base, baseline = self.accuracy("none", 60, before), Baseline()
        names = {"model": "m", "edit_source": "builtin", "order_seed": 0}
        unedited = measurements(base, Labels(editor="none", n_edits=0, **names), baseline)
        baseline.remember(unedited, [item for result in base for item in result.items])
        after = self.accuracy("ike", n_right, too_long)
        return [*unedited, *measurements(after, Labels(editor="ike", n_edits=10, **names), baseline)]

    def test_half_of_the_items_do_not_fit(self) -> None:
        found = self.measured(60, range(0, 100, 2))
        after = next(one for one in found if one.editor == "ike" and one.metric == "accuracy")
        assert (after.value, after.baseline, after.difference) == (0.3, 0.6, 0.0)
        assert after.shared == Comparison(value=0.6, baseline=0.6, n=50, n_lost=50)
        assert Collapses.among(found, SUITES).first() == []
        checked = {(one.editor, one.metric): one for one in check_validity(found, SUITES)}
        whole, beside = checked["ike", "accuracy"], checked["ike", "accuracy_answered"]
        assert whole.invalid_because == (
            "D4: of 100 items 50 were too long; the score over the 50 that were answered is 0.6000"
        )
        assert [flag.rule for flag in whole.flags] == ["D4"]
        assert (beside.value, beside.n, beside.baseline, beside.flags) == (0.6, 50, 0.6, ())

    def test_a_lost_ability_is_found_among_the_answered_items(self) -> None:
        found = self.measured(10, range(0, 100, 2))
        (one,) = Collapses.among(found, SUITES).first()
        assert one.reason.startswith("0% of its ability above chance is left")
        assert one.reason.endswith("50 items)")

    def test_items_that_are_too_long_for_both_models_invalidate_nothing(self) -> None:
        long = [i for i in range(100) if i % 8 < 4]
        found = self.measured(60, long, before=long)
        checked = {(one.editor, one.metric): one for one in check_validity(found, SUITES)}
        after = checked["ike", "accuracy"]
        assert (after.value, after.difference) == (0.28, 0.0)
        assert [(flag.rule, flag.invalidates) for flag in after.flags] == [("D4", False)]
        assert checked["none", "accuracy"].value == 0.28

    def test_a_better_score_of_the_answered_items_alone_is_not_called_safer(self) -> None:
        """All items that the unedited model gets wrong are too long: nothing became better."""
        found = self.measured(60, range(60, 100))
        collapsed = perplexity(10, 9000.0, editor="ike")
        checked = check_validity([*found, collapsed], SUITES)
        beside = next(one for one in checked if one.metric == "accuracy_answered")
        assert (beside.raw_value, beside.baseline) == (1.0, 1.0)
        assert "D5" not in [flag.rule for flag in beside.flags]

    def test_if_nothing_was_answered_there_is_no_score(self) -> None:
        found = self.measured(60, range(100))
        checked = check_validity(found, SUITES)[-1]
        assert (checked.raw_value, checked.value) == (0.0, None)
        assert checked.invalid_because == "D4: of 100 items 100 were too long"
        assert Collapses.among(found, SUITES).first() == []

    def test_older_results_that_do_not_say_which_items_were_answered_are_not_accused(self) -> None:
        lost = measured(10, 0.3, baseline=0.6, n_too_long=50)
        assert Collapses.among([measured(0, 0.6), lost], SUITES).first() == []
        same = measured(0, 0.6, n_too_long=10), measured(10, 0.25, baseline=0.6, n_too_long=10)
        assert Collapses.among(same, SUITES).first() != []
        assert lost.difference is None

    def test_a_perplexity_without_a_value_because_windows_are_too_long_is_no_collapse(self) -> None:
        long = perplexity(10, 1.0).model_copy(update={"value": None, "n_too_long": 3})
        assert Collapses.among([long], SUITES).first() == []
        assert not Collapses.among([long], SUITES).is_healthy(long)


class TestCollapseByAbility:
    """A benchmark counts once, whichever of its parts were measured."""

    WHOLES = ("gsm8k", "commonsenseqa", "triviaqa", "bbh")

    def found(self, *more: Measurement) -> str:
        mmlu = {"group": "mmlu", "baseline": 0.75}
        lost = [
            measured(10, 0.0, baseline=0.6, suite=name, task=f"{name}@1", form=AnswerDistribution())
            for name in self.WHOLES
        ]
        members = [measured(10, 0.75, **mmlu), *lost, *more]
        return Collapses.among(members, SUITES).reason(members[0])

    @pytest.mark.parametrize("n_subjects", [0, 1, 5, 57])
    def test_subjects_do_not_vote(self, n_subjects: int) -> None:
        subjects = [
            measured(10, 0.75, task=f"mmlu_{i}@1", group="mmlu", subtask=str(i), baseline=0.75)
            for i in range(n_subjects)
        ]
        assert self.found(*subjects).startswith("20% of its ability above chance is left")

    def test_protocols_do_not_vote(self) -> None:
        names = ("answers", "generation")
        others = [measured(10, 0.75, group="mmlu", baseline=0.75, protocol=name) for name in names]
        assert self.found(*others).startswith("20% of its ability above chance is left")

    def test_subjects_without_their_whole_count_as_one_benchmark(self) -> None:
        def subject(name: str, value: float) -> Measurement:
            part = {"task": f"{name}@1", "group": name.partition("_")[0], "subtask": name.partition("_")[2]}
            return measured(10, value, suite=part["group"], baseline=0.75, **part)

        parts = [subject(f"mmlu_{i}", 0.75) for i in range(4)] + [subject("bbh_navigate", 0.25)]
        assert "50%" not in Collapses.among(parts, SUITES).reason(parts[0])
        parts.append(subject("gsm8k_a", 0.25))
        assert Collapses.among(parts, SUITES).reason(parts[0]).startswith("33% of its ability above chance")


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


@pytest.mark.parametrize(
    ("n", "unread", "flagged"), [(3, 3, False), (10, 2, False), (100, 20, True), (12, 9, True)]
)
def test_unparsed_answers_invalidate_a_score_only_if_there_are_enough_of_them(
    n: int, unread: int, flagged: bool
) -> None:
    form = AnswerDistribution(chance=0.25, answers={"A": n // 2, "B": n - n // 2}, n_unread=unread)
    one = only(measured(5, 0.0, n=n, form=form))
    assert ("D7" in [flag.rule for flag in one.flags]) == flagged


@pytest.mark.parametrize(
    ("n", "score", "flagged"),
    [
        (100, 0.24, False),  # a point below chance, and well within its error
        (100, 0.18, False),
        (100, 0.16, True),
        (1000, 0.22, True),
        (10, 0.0, False),  # none of ten is no surprise at a chance of one in four
        (12, 0.0, True),
    ],
)
def test_a_score_is_below_chance_if_its_interval_is(n: int, score: float, flagged: bool) -> None:
    form = AnswerDistribution(chance=0.25, answers={"A": n // 2, "B": n - n // 2}, n_unread=n)
    one = only(measured(5, score, n=n, form=form))
    assert ("D7" in [flag.rule for flag in one.flags]) == flagged


@pytest.mark.parametrize(("n", "flagged"), [(4, False), (8, False), (40, True)])
def test_constant_answers_are_swapped_only_on_enough_items(n: int, flagged: bool) -> None:
    form = AnswerDistribution(chance=0.5, constants={"No": 0.25, "Yes": 0.75})
    base, after = measured(0, 0.25, n=n, form=form), measured(5, 0.75, n=n, form=form, baseline=0.25)
    assert ("D2" in [flag.rule for flag in only(base, after).flags]) == flagged
