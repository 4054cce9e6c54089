"""Scores of generated answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from sequela.evaluation.lm_eval.answer_extraction import EXTRACTORS, AnswerParser
from sequela.evaluation.lm_eval.generation_scoring import (
    generation_records,
    generation_results,
    score_generation_item,
)
from sequela.evaluation.lm_eval.item_records import ItemContext
from sequela.results import ItemRecord, TaskResult

READINGS = {
    "strict": AnswerParser(extractors=("first_letter",), compare="letter"),
    "lenient": AnswerParser(extractors=("first_letter", "choice_text"), compare="letter"),
}
CHOICES = ("red", "blue")


def records(texts: list[str], **changes: Any) -> list[ItemRecord]:
    """Returns records of generated texts for items with the right answers A, B, A, B …"""
    samples = [
        {
            "doc_id": i,
            "doc": {},
            "doc_hash": "h" * 64,
            "prompt_hash": "p",
            "target": "AB"[i % 2],
            "arguments": [(f"prompt {i}", {})],
            "resps": [[text]],
        }
        for i, text in enumerate(texts)
    ]
    context = ItemContext("mmlu", "mmlu@1", "generation", lambda _: "question", **changes)
    return generation_records(
        samples, context, READINGS, lambda sample: [sample["target"]], lambda _: CHOICES
    )


def found(texts: list[str], **changes: Any) -> dict[str, TaskResult]:
    return {result.metric: result for result in generation_results(records(texts, **changes), "note", 0.5)}


def test_form_and_content_are_scored_separately() -> None:
    results = found([" A", "blue", "red", "no idea", "", "B"])
    values = {metric: result.value for metric, result in results.items()}
    assert values == {
        "accuracy": pytest.approx(2 / 6),  # the first and the last
        "accuracy_lenient": pytest.approx(4 / 6),
        "parse_rate": pytest.approx(2 / 6),
        "parse_rate_lenient": pytest.approx(4 / 6),
        "accuracy_parsed": 1.0,
        "empty_rate": pytest.approx(1 / 6),
        "repetition": 0.0,
        "ngram_entropy": 0.0,
        "answer_words": pytest.approx(6 / 6),
    }
    assert results["accuracy_parsed"].n == 4
    assert "4 of 6 answers could be parsed" in results["accuracy_parsed"].note


def test_results_have_the_answer_distribution() -> None:
    strict, lenient = (found(["A", "blue", ""])[m].form for m in ("accuracy", "accuracy_lenient"))
    assert strict is not None
    assert lenient is not None
    assert strict.answers == {"": 2, "A": 1}
    assert lenient.answers == {"": 1, "A": 1, "B": 1}
    assert (strict.n_unread, lenient.n_unread, strict.n_empty) == (2, 1, 1)
    assert strict.constants == {"A": pytest.approx(2 / 3), "B": pytest.approx(1 / 3)}
    assert strict.chance == 0.5


def test_a_note_reports_that_no_answer_could_be_parsed() -> None:
    result = found(["?", "!"])["accuracy_parsed"]
    assert (result.value, result.n) == (None, 0)
    assert "none of 2 answers could be parsed" in result.note


def test_a_text_that_is_nonfinite_or_was_not_run_is_not_an_answer() -> None:
    some = records(["A", "B", "A"], nonfinite=frozenset({"prompt 0"}), too_long={("prompt 1",): 5000})
    assert [record.value for record in some] == [0, 0, 1]
    assert [(record.finite, record.too_long) for record in some] == [
        (False, None),
        (True, 5000),
        (True, None),
    ]
    assert some[0].details["readings"]["lenient"]["extracted"] is None


def test_an_error_in_a_rule_fails_only_its_own_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def stumbles(text: str, _: Sequence[str]) -> str | None:
        return {"A": None, "blue": "B"}[text]

    monkeypatch.setitem(EXTRACTORS, "choice_text", stumbles)
    some = records(["A", "blue", "red"])
    assert [record.failed for record in some] == ["", "", "KeyError: 'red'"]
    assert [record.value for record in some] == [1, 0, 0]
    for result in generation_results(some, "note", 0.5):
        if result.metric in ("accuracy", "accuracy_lenient"):
            assert (result.n, result.n_failed) == (3, 1)
            assert result.note == "note; items that failed and count as 0: 1 (the first: KeyError: 'red')"
        else:  # the failed item says nothing about the answers' form
            assert (result.n, result.n_failed) == (2, 0)
            assert result.note.startswith("note; 2 of 3 items were answered")
    monkeypatch.undo()
    assert [score_generation_item(record, READINGS).failed for record in some] == ["", "", ""]


def test_an_item_that_was_not_run_stays_failed_when_it_is_scored_again() -> None:
    some = records(["", "B"], failed={("prompt 0",): "TemplateError: no such turn"})
    for record in (*some, *(score_generation_item(record, READINGS) for record in some)):
        assert record.failed == ("TemplateError: no such turn" if record.item.startswith("0") else "")
    assert [record.value for record in some] == [0, 1]


def test_every_extractors_answer_is_stored_and_can_be_scored_again() -> None:
    for record in records(["A", "blue", "?"]):
        stored = ItemRecord.model_validate_json(record.model_dump_json())
        assert set(stored.details["extractors"]) == {"first_letter", "choice_text"}
        assert score_generation_item(stored, READINGS) == record
    (record,) = records(["blue"])
    assert record.value == 0.0
    assert score_generation_item(record, {**READINGS, "strict": READINGS["lenient"]}).details["readings"][
        "strict"
    ] == {
        "extracted": "B",
        "by": "choice_text",
        "right": False,
    }
