from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequela.evaluation.lm_eval.choice_scoring import (
    accuracy,
    accuracy_per_byte,
    auroc,
    balanced_accuracy,
    choice_records,
    score_choices_item,
    share_of_answer,
    true_probability,
)
from sequela.evaluation.lm_eval.item_records import ItemContext, failures_note
from sequela.evaluation.multiple_choice import SHORTEST, choice_distribution
from sequela.results import ItemRecord

NUMBERS = st.floats(-1e6, 0)
NOT_NUMBERS = st.sampled_from([math.nan, math.inf, -math.inf])


def context(**changes: Any) -> ItemContext:
    fields: dict[str, Any] = {
        "suite": "toxigen",
        "task": "toxigen@1",
        "protocol": "loglikelihood",
        "prompt_of": lambda doc: doc["text"],
    }
    return ItemContext(**{**fields, **changes})


def choice_sample(number: int, right: int, logprobs: list[float], choices: tuple[str, ...]) -> dict[str, Any]:
    return {
        "doc_id": number,
        "doc": {"text": f"statement {number}"},
        "doc_hash": f"{number:064d}",
        "prompt_hash": "p",
        "target": right,
        "arguments": [(f"whole prompt {number}", f" {choice}") for choice in choices],
        "resps": [[(logprob, False)] for logprob in logprobs],
    }


def yes_no(rows: list[tuple[int, int]]) -> list[dict[str, Any]]:
    """Returns samples for pairs of the right and the chosen answer."""
    return [
        choice_sample(i, right, [-1.0 - chosen, -2.0 + chosen], ("No", "Yes"))
        for i, (right, chosen) in enumerate(rows)
    ]


@given(st.lists(NUMBERS, min_size=1, max_size=6), NOT_NUMBERS, st.data())
def test_a_nan_never_wins_in_any_order(logprobs: list[float], bad: float, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(logprobs)))
    right = data.draw(st.integers(0, len(logprobs)))
    with_bad = [*logprobs[:at], bad, *logprobs[at:]]
    choices = tuple(f"choice {i}" for i in range(len(with_bad)))
    (record,) = choice_records([choice_sample(0, right, with_bad, choices)], context())
    assert (record.value, record.finite, record.answer) == (0.0, False, "")


def test_a_tie_and_a_nan_are_wrong_even_if_the_right_choice_comes_first() -> None:
    samples = [
        choice_sample(0, 0, [-1.0, -1.0], ("a", "b")),
        choice_sample(1, 0, [math.nan, math.nan], ("a", "b")),
        choice_sample(2, 0, [-1.0, -2.0], ("a", "b")),
    ]
    records = choice_records(samples, context(truncated=frozenset({"whole prompt 2"})))
    assert [record.value for record in records] == [0, 0, 1]
    assert [record.finite for record in records] == [True, False, True]
    assert [record.answer for record in records] == ["", "", "a"]
    assert records[1].details["logprobs"] == [None, None]
    assert failures_note(records) == (
        "items with a tie for the best choice, counted as wrong: 1; "
        "prompts cut on the left to fit the model's context: 1"
    )
    form = choice_distribution(records, None)
    assert (form.n_ties, form.answers, form.chance) == (1, {"": 2, "a": 1}, 0.5)


@given(st.lists(st.lists(NUMBERS | NOT_NUMBERS, min_size=3, max_size=3), min_size=1, max_size=5))
def test_stored_records_are_scored_again_with_the_same_result(rows: list[list[float]]) -> None:
    samples = [choice_sample(i, i % 3, row, ("a", "bb", "c c")) for i, row in enumerate(rows)]
    for record in choice_records(samples, context()):
        stored = ItemRecord.model_validate_json(record.model_dump_json())
        assert score_choices_item(stored) == record


def test_a_constant_answer_is_visible_in_the_distribution() -> None:
    records = choice_records(yes_no([(0, 0)] * 9 + [(1, 0)] * 3), context())
    balanced = balanced_accuracy(records, "note")
    assert balanced.value == 0.5
    assert balanced.stderr == 0.0
    assert share_of_answer(records, "Yes", "share_yes", "").value == 0.0
    form = accuracy(records, "", 0.5).form
    assert form is not None
    assert form.constants == {"No": 0.75, "Yes": 0.25}
    assert form.top == ("No", 12)
    assert auroc(records, "").value == 0.5  # all pairs are equal


def test_choices_that_differ_between_items_are_named_by_their_letter() -> None:
    samples = [
        choice_sample(0, 1, [-3.0, -1.0], ("long choice", "short")),
        choice_sample(1, 1, [-1.0, -2.0], ("x", "not so short")),
    ]
    form = choice_distribution(choice_records(samples, context()), None)
    assert form.answers == {"A": 1, "B": 1}
    assert form.constants == {"B": 1.0, SHORTEST: 0.5}


def test_a_long_choice_can_win_per_byte() -> None:
    records = choice_records([choice_sample(0, 0, [-4.0, -3.0], ("eight by", "two"))], context())
    assert accuracy(records, "").value == 0
    assert accuracy_per_byte(records, "").value == 1


def test_balanced_accuracy_is_the_mean_of_the_classes() -> None:
    rows = [(0, 0)] * 6 + [(0, 1)] * 2 + [(1, 1)] * 1 + [(1, 0)] * 3
    result = balanced_accuracy(choice_records(yes_no(rows), context()), "")
    assert result.value == pytest.approx((6 / 8 + 1 / 4) / 2)
    variances = [(6 / 8) * (2 / 8) / 7, (1 / 4) * (3 / 4) / 3]  # of each class's mean, unbiased
    assert result.stderr == pytest.approx(math.sqrt(sum(variances)) / 2)
    assert math.fsum(item.value for item in result.items) / result.n == pytest.approx(result.value)


def test_metrics_of_two_classes_have_no_value_for_one() -> None:
    records = choice_records(yes_no([(0, 0), (0, 1)]), context())
    for result in (balanced_accuracy(records, "rest"), auroc(records, "rest")):
        assert result.value is None
        assert result.note == "every item's answer is 'No'; rest"


@given(st.lists(st.tuples(st.booleans(), st.integers(-3, 3) | st.just(math.nan)), min_size=4, max_size=24))
def test_auroc_counts_pairs(rows: list[tuple[bool, float]]) -> None:
    samples = [
        choice_sample(i, int(right), [0.0, lead], ("No", "Yes")) for i, (right, lead) in enumerate(rows)
    ]
    result = auroc(choice_records(samples, context()), "")
    worst = {True: -math.inf, False: math.inf}
    leads = [(right, worst[right] if math.isnan(lead) else lead) for right, lead in rows]
    pairs = [(p, n) for right, p in leads if right for other, n in leads if not other]
    if not pairs:
        assert result.value is None
    else:
        assert result.value == pytest.approx(sum((p > n) + (p == n) / 2 for p, n in pairs) / len(pairs))


def test_auroc_has_hanley_and_mcneils_error() -> None:
    samples = [choice_sample(i, i % 2, [0.0, float(i % 5)], ("No", "Yes")) for i in range(40)]
    result = auroc(choice_records(samples, context()), "")
    area, n = result.value, 20
    assert area is not None
    q1, q2 = area / (2 - area), 2 * area * area / (1 + area)
    variance = (area * (1 - area) + (n - 1) * (q1 - area**2) + (n - 1) * (q2 - area**2)) / n**2
    assert result.stderr == pytest.approx(math.sqrt(variance))


def labeled(logprobs: list[float], labels: list[int]) -> ItemRecord:
    choices = tuple(f"choice {i}" for i in range(len(labels)))
    (record,) = choice_records([choice_sample(0, labels.index(1), logprobs, choices)], context())
    return record.model_copy(update={"details": {**record.details, "labels": labels}})


def test_true_probability_is_the_share_of_the_true_choices() -> None:
    record = labeled([math.log(0.2), math.log(0.1), math.log(0.1)], [1, 0, 1])
    assert true_probability([record], "").value == pytest.approx(0.75)
    unlikely = labeled([-5000.0, -5000.0 - math.log(3)], [1, 0])  # exp() of either is 0
    assert true_probability([unlikely], "").value == pytest.approx(0.75)


def test_the_true_probability_with_a_nan_is_zero() -> None:
    result = true_probability([labeled([math.nan, -1.0], [1, 0])], "")
    assert (result.value, result.n_nonfinite) == (0.0, 1)
