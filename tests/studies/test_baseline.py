"""Baselines: the same items on both sides of every comparison."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequela.evaluation.lm_eval.choice_scoring import balanced_accuracy
from sequela.results import Comparison, ItemRecord, Labels, Measurement, TaskResult, result_from_items
from sequela.studies.baseline import Baseline, measurements

UNEDITED = Labels(model="m", editor="none", edit_source="builtin", order_seed=0, n_edits=0)
EDITED = Labels(model="m", editor="ike", edit_source="builtin", order_seed=0, n_edits=10)


def scored(
    values: Mapping[str, float], unanswered: Collection[str] = (), metric: str = "accuracy"
) -> TaskResult:
    return result_from_items(
        [
            ItemRecord(
                suite="s", task="t@1", metric=metric, protocol="letters", item=name,
                value=0.0 if name in unanswered else value,
                too_long=9 if name in unanswered else None,
                details={"choices": ["No", "Yes"], "right": ord(name) % 2, "chosen": 0, "tie": False},
            )
            for name, value in values.items()
        ]
    )  # fmt: skip


def compared(before: TaskResult, after: TaskResult) -> Measurement:
    baseline = Baseline()
    baseline.remember(measurements([before], UNEDITED, baseline), before.items)
    (one,) = measurements([after], EDITED, baseline)
    return one


BEFORE = {"a": 1.0, "b": 1.0, "c": 0.0, "d": 1.0}


@pytest.mark.parametrize(
    ("missing_before", "missing_after", "shared"),
    [
        ((), (), None),
        ((), "a", Comparison(value=2 / 3, baseline=2 / 3, n=3, n_lost=1)),
        ("a", "a", Comparison(value=2 / 3, baseline=2 / 3, n=3)),
        ("a", "b", Comparison(value=1 / 2, baseline=1 / 2, n=2, n_lost=1)),
        ("a", (), Comparison(value=2 / 3, baseline=2 / 3, n=3)),
        ((), "abcd", Comparison(value=None, baseline=None, n=0, n_lost=4)),
    ],
)
def test_a_model_that_answers_as_before_has_lost_nothing(
    missing_before: str, missing_after: str, shared: Comparison | None
) -> None:
    one = compared(scored(BEFORE, missing_before), scored(BEFORE, missing_after))
    assert one.shared == shared
    assert one.difference == (None if len(missing_after) == 4 else 0.0)


def test_items_that_the_unedited_model_does_not_have_are_not_compared() -> None:
    one = compared(scored({"a": 1.0, "b": 0.0}), scored({"a": 1.0, "b": 1.0, "c": 1.0, "d": 1.0}))
    assert (one.value, one.baseline) == (1.0, 0.5)
    assert one.shared == Comparison(value=1.0, baseline=0.5, n=2)


def test_the_accuracy_of_answered_items_is_compared_with_the_accuracy() -> None:
    after = scored({"a": 0.0, "b": 1.0}, metric="accuracy_answered")
    one = compared(scored(BEFORE), after)
    assert (one.value, one.baseline, one.shared) == (0.5, 1.0, None)


def test_a_score_that_is_no_mean_is_compared_only_over_the_same_items() -> None:
    before = balanced_accuracy(scored(BEFORE).items, "")
    assert compared(before, balanced_accuracy(scored(BEFORE).items, "")).difference == 0.0
    without_a = {name: value for name, value in BEFORE.items() if name != "a"}
    one = compared(before, balanced_accuracy(scored(without_a).items, ""))
    assert (one.baseline, one.difference) == (None, None)


def test_the_number_of_effective_edits_is_compared_over_the_same_edits() -> None:
    baseline = Baseline()
    before, after = scored(BEFORE, metric="efficacy"), scored({"a": 1.0, "c": 1.0}, metric="efficacy")
    baseline.remember(measurements([before], UNEDITED, baseline), before.items)
    count = after.model_copy(update={"metric": "effective_edits", "value": 2.0})
    (one,) = measurements([count], EDITED, baseline)
    assert (one.value, one.baseline, one.difference) == (2.0, 1.0, 1.0)


@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from([0.0, 1.0]), min_size=1),
    st.sets(st.sampled_from("abcdefgh")),
    st.sets(st.sampled_from("abcdefgh")),
)
def test_unanswered_items_never_count_as_a_change(
    values: dict[str, float], before: set[str], after: set[str]
) -> None:
    one = compared(scored(values, before), scored(values, after))
    n_common = len(set(values) - before - after)
    assert one.difference in ((0.0,) if n_common else (None,))
    if one.shared is not None:
        assert (one.shared.n, one.shared.n_lost) == (n_common, len(set(values) & (after - before)))


def of_prompts(values: Mapping[str, float], too_long: Collection[str] = ()) -> TaskResult:
    """The score of an edit over its prompts, of which some were too long."""
    asked = [value for name, value in values.items() if name not in too_long]
    prompts = [
        {"prompt": name, "value": value, "too_long": 99 if name in too_long else None}
        for name, value in values.items()
    ]
    record = ItemRecord(
        suite="edit_quality", task="retention@n", metric="paraphrase", protocol="free_decoding", item="e",
        value=sum(asked) / len(asked), details={"prompts": prompts},
    )  # fmt: skip
    return result_from_items([record])


@pytest.mark.parametrize(
    ("missing_before", "missing_after", "value", "baseline", "difference"),
    [((), "c", 0.5, 1.0, -0.5), ("c", (), 1 / 3, 1.0, -0.5), ("c", "a", 0.0, 1.0, -1.0)],
)
def test_an_edit_is_compared_over_the_prompts_that_both_models_were_asked(
    missing_before: str, missing_after: str, value: float, baseline: float, difference: float
) -> None:
    before, after = {"a": 1.0, "b": 1.0, "c": 0.0}, {"a": 1.0, "b": 0.0, "c": 0.0}
    one = compared(of_prompts(before, missing_before), of_prompts(after, missing_after))
    assert (one.value, one.baseline, one.difference) == pytest.approx((value, baseline, difference))
