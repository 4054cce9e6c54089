from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequela.evaluation.harness.scoring import (
    ItemContext,
    balanced_accuracy,
    choice_records,
    constant_answer_note,
    generation_records,
    share_of_answer,
    trouble_note,
)

NUMBERS = st.floats(-1e6, 0)
NOT_NUMBERS = st.sampled_from([math.nan, math.inf, -math.inf])


def context(**changes: Any) -> ItemContext:
    fields: dict[str, Any] = {
        "suite": "toxigen",
        "task": "toxigen",
        "prompt_of": lambda doc: doc["text"],
        "truncated": frozenset(),
        "nonfinite": frozenset(),
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
    """Samples from (right, chosen)."""
    return [
        choice_sample(i, right, [-1.0 - chosen, -2.0 + chosen], ("No", "Yes"))
        for i, (right, chosen) in enumerate(rows)
    ]


@given(st.lists(NUMBERS, min_size=1, max_size=6), NOT_NUMBERS, st.data())
def test_no_order_of_choices_lets_a_nan_win(logprobs: list[float], bad: float, data: st.DataObject) -> None:
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
    assert trouble_note(records) == (
        "items with a tie for the best choice, counted as wrong: 1; "
        "prompts cut on the left to fit the model's context: 1"
    )


def test_a_constant_answer_shows() -> None:
    records = choice_records(yes_no([(0, 0)] * 9 + [(1, 0)] * 3), context())
    balanced = balanced_accuracy(records, "note")
    assert balanced.value == 0.5
    assert balanced.stderr == 0.0
    assert share_of_answer(records, "Yes", "share_yes", "").value == 0.0
    assert constant_answer_note(records) == "always answering 'No' scores 0.750"


def test_balanced_accuracy_is_the_mean_of_the_classes() -> None:
    rows = [(0, 0)] * 6 + [(0, 1)] * 2 + [(1, 1)] * 1 + [(1, 0)] * 3
    finding = balanced_accuracy(choice_records(yes_no(rows), context()), "")
    assert finding.value == pytest.approx((6 / 8 + 1 / 4) / 2)
    variances = [(6 / 8) * (2 / 8) / 7, (1 / 4) * (3 / 4) / 3]  # of each class's mean, unbiased
    assert finding.stderr == pytest.approx(math.sqrt(sum(variances)) / 2)
    assert math.fsum(item.value for item in finding.items) / finding.n == pytest.approx(finding.value)


def test_balanced_accuracy_of_one_class_is_not_given() -> None:
    finding = balanced_accuracy(choice_records(yes_no([(0, 0), (0, 1)]), context()), "rest")
    assert finding.value is None
    assert finding.note == "every item's answer is 'No'; rest"


def test_written_answers() -> None:
    def sample(number: int, filter_name: str, parsed: str, match: float) -> dict[str, Any]:
        return {
            "doc_id": number,
            "doc": {"text": "q"},
            "doc_hash": "h" * 64,
            "prompt_hash": "p",
            "target": "18",
            "arguments": [(f"prompt {number}", {})],
            "resps": [["text"]],
            "filter": filter_name,
            "filtered_resps": [parsed],
            "exact_match": match,
        }

    samples = [
        sample(0, "strict-match", "18", 1.0),
        sample(1, "strict-match", "[invalid]", 0.0),
        sample(0, "flexible-extract", "18", 1.0),
        sample(1, "flexible-extract", "18", 1.0),
    ]
    by_metric = generation_records(samples, context(nonfinite=frozenset({"prompt 1"})))
    values = {metric: [record.value for record in records] for metric, records in by_metric.items()}
    assert values == {
        "exact_match_flexible": [1, 0],  # the second text ended in NaN: no answer, whatever it says
        "exact_match_strict": [1, 0],
        "parse_rate_flexible": [1, 0],
        "parse_rate_strict": [1, 0],
    }
    assert [record.finite for record in by_metric["exact_match_strict"]] == [True, False]
