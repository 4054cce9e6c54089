"""In a user's own task, prompts and answers are joined as everywhere else; an empty choice fails alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sequela.core.errors import BadInputError
from sequela.edited import EditedModel
from sequela.evaluation.lm_eval.sandbox import budget
from sequela.evaluation.lm_eval.suite import HarnessSuite
from sequela.evaluation.lm_eval.task_builder import _Data
from sequela.inference import TorchEngine, score_request

CHOICES: dict[str, Any] = {
    "benchmark": "mine",
    "protocol": "answers",
    "version": 1,
    "what": "Capitals.",
    "items": "items.jsonl",
    "harness": {
        "doc_to_text": "{{question}}",
        "doc_to_choice": "{{choices}}",
        "doc_to_target": "{{right}}",
    },
}


def suite_of(folder: Path, rows: list[dict[str, Any]], **fields: Any) -> HarnessSuite:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / "items.jsonl").write_text(text, encoding="utf-8")
    harness = {**CHOICES["harness"], **fields.pop("harness", {})}
    (folder / "mine.yaml").write_text(json.dumps({**CHOICES, **fields, "harness": harness}))
    return HarnessSuite(str(folder / "mine.yaml"))


def row(question: str, *choices: str) -> dict[str, Any]:
    return {"question": question, "choices": list(choices), "right": 0}


@pytest.mark.parametrize(
    ("question", "choice", "continuation"),
    [
        ("The capital of France is", "Rome", " Rome"),
        ("法国的首都是", "罗马", "罗马"),
        ("The ticket costs $", "18", "18"),
        ("He lives in (", "Rome", "Rome"),
    ],
)
def test_choices_are_scored_as_edits_are(
    question: str, choice: str, continuation: str, tmp_path: Path, edited: EditedModel
) -> None:
    suite = suite_of(tmp_path, [row(question, choice, "x y")])
    (accuracy, *_) = suite.evaluate(edited, TorchEngine())
    (request, _) = suite.tasks[0].task.instances
    assert request.args == (question, continuation)
    (score,) = TorchEngine().score(edited, [score_request(edited, question, choice)])
    assert accuracy.items[0].details["logprobs"][0] == pytest.approx(score.logprob, abs=1e-4)


def test_few_shot_examples_are_joined_alike(tmp_path: Path) -> None:
    rows = [row("法国的首都是", "巴黎", "罗马"), row("秘鲁的首都是 ", "利马", "罗马")]
    assert suite_of(tmp_path, rows, shots=1).tasks[0].first_prompt == "法国的首都是巴黎\n\n秘鲁的首都是"
    set_by_file = suite_of(tmp_path, rows, shots=1, harness={"target_delimiter": " : "})
    assert set_by_file.tasks[0].first_prompt == "法国的首都是 : 巴黎\n\n秘鲁的首都是 "
    english = [row("France's capital is ", "Paris", "Rome"), row("Peru's capital is", "Lima", "Rome")]
    prompt = suite_of(tmp_path, english, shots=1).tasks[0].first_prompt
    assert prompt == "France's capital is Paris\n\nPeru's capital is"


@pytest.mark.parametrize("choice", ["", " "])
def test_an_empty_choice_of_published_data_is_one_failed_item(
    choice: str, tmp_path: Path, edited: EditedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In a user's own file it is an error; in data from the hub, which nobody can correct here, it is not.
    monkeypatch.setattr(_Data, "is_of_the_user", False)
    suite = suite_of(tmp_path, [row("A", "b", "c"), row("D", "e", choice), row("F", "g", "h")])
    results = {result.metric: result for result in suite.evaluate(edited, TorchEngine())}
    over_all, over_answered = results["accuracy"], results["accuracy_answered"]
    assert (over_all.n, over_all.n_failed) == (3, 1)
    assert [bool(item.failed) for item in over_all.items] == [False, True, False]
    assert (over_answered.n, over_answered.n_failed) == (2, 0)
    assert {result.n_nonfinite for result in results.values()} == {0}


ENDLESS = "{% if question == 'D' %}{% for i in range(9999) %}{{ i }}{% endfor %}{% endif %}"


@pytest.mark.parametrize("place", [1, 2])
@pytest.mark.parametrize(
    "field", ["doc_to_text", "doc_to_target", "doc_to_choice", "description", "gen_prefix"]
)
def test_a_template_that_is_too_large_is_named_with_its_field_and_the_limit(
    field: str, place: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the harness renders it, and also if only the second item makes it so large."""
    monkeypatch.setattr(budget, "MOST_WORK", 20_000)
    rows = [row("A", "b", "c"), row("D", "e", "f")] if place == 2 else [row("D", "e", "f")]
    suite = suite_of(tmp_path, rows, harness={field: ENDLESS + str(CHOICES["harness"].get(field, "x"))})
    with pytest.raises(BadInputError) as caught:
        suite.tasks  # noqa: B018
    message = caught.value.message
    assert f"harness.{field} of the task 'mine'" in message
    assert "more than 1,000 steps" in message
    assert place == 1 or message.startswith("items.jsonl, record 2")
