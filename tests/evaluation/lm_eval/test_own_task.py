"""In a user's own task, prompts and answers are joined as everywhere else; an empty choice fails alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sequela.core.errors import BadInputError
from sequela.edited import EditedModel
from sequela.evaluation.lm_eval import task_builder
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


DIGITS = ["42", "7", "007", "٣", "²", "18446744073709551616"]


@pytest.mark.parametrize("digits", DIGITS)
@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("template", ["question", "{{question}}"])
def test_a_prompt_of_digits_is_a_text(template: str, place: int, digits: str, tmp_path: Path) -> None:
    rows = [row("A?", "b", "c"), row("D?", "e", "f")]
    rows[place]["question"] = digits
    suite = suite_of(tmp_path, rows, harness={"doc_to_text": template})
    task = suite.tasks[0].task
    prompts = [task.fewshot_context(document, num_fewshot=0) for document in task.eval_docs]
    assert prompts[place] == digits
    assert not task.multiple_input
    requests = task.construct_requests(task.eval_docs[place], prompts[place])
    assert [request.args for request in requests] == [
        (digits, " " + choice) for choice in rows[place]["choices"]
    ]


def test_digits_are_texts_in_few_shot_examples_and_are_scored(tmp_path: Path, edited: EditedModel) -> None:
    suite = suite_of(tmp_path, [row("6 * 7 =", "42", "7"), row("7", "8", "9"), row("1", "2", "3")], shots=2)
    assert suite.tasks[0].first_prompt == "6 * 7 = 42\n\n7 8\n\n1"
    (accuracy, *_) = suite.evaluate(edited, TorchEngine())
    assert accuracy.items[0].prompt == "1"
    assert accuracy.items[0].expected == "2"


def test_a_number_that_is_a_prompt_or_answer_is_written_as_a_text(tmp_path: Path) -> None:
    harness = {
        "doc_to_text": "question",
        "doc_to_target": "gold",
        "gen_prefix": "year",
        "doc_to_choice": None,
    }
    rows = [{"question": number, "gold": 2 * number, "year": 1990 + number} for number in (1, 2)]
    task = suite_of(tmp_path, rows, shots=1, **GENERATED, harness=harness).tasks[0]
    assert task.first_prompt == "1 1991 2\n\n2"
    assert task.task.doc_to_prefix(task.task.eval_docs[0]) == "1992"


NUMBER = {"extractors": ["first_line"], "compare": "name"}
GENERATED: dict[str, Any] = {
    "protocol": "generation",
    "max_new_tokens": 4,
    "readings": {"strict": NUMBER, "lenient": NUMBER},
}


@pytest.mark.parametrize(
    ("gold", "template", "targets"),
    [
        ("[1, 2]", "{{gold}}", "[1, 2]"),
        ("[]", " {{gold}}", " []"),
        ("['a']", "{% if gold %}{{gold}}{% endif %}", "['a']"),
        ("[1]", "{{gold | trim}}", "[1]"),
        ("18", "{{gold}}", "18"),
        ("007", "{{gold}}", "007"),
        ("a", "{{[gold, 'b']}}", ["a", "b"]),
        (["a", "b"], "{{gold}}", ["a", "b"]),
        (["a", "b"], "gold", ["a", "b"]),
    ],
)
def test_a_right_answer_is_a_list_only_if_it_is_written_as_one(
    gold: Any, template: str, targets: Any, tmp_path: Path
) -> None:
    harness = {"doc_to_choice": None, "doc_to_target": template}
    task = suite_of(tmp_path, [{"question": "A", "gold": gold}], **GENERATED, harness=harness).tasks[0]
    assert task.task.doc_to_target(task.task.eval_docs[0]) == targets


def test_the_content_of_a_task_changes_where_a_text_was_read_as_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def contents(question: str) -> set[str]:
        found = set()
        for version in (1, 2):
            monkeypatch.setattr(task_builder, "TEXT_VERSION", version)
            found.add(suite_of(tmp_path, [row(question, "b", "c")]).tasks[0].content)
        return found

    assert len(contents("A?")) == 1, "results of other items are kept"
    assert len(contents("42")) == 2


def test_a_list_of_templates_is_rendered_for_each_item(tmp_path: Path) -> None:
    templates = ["{{choices[0]}}", "not {{choices[1]}}", "neither"]
    suite = suite_of(tmp_path, [row("A", "b", "c"), row("D", "e", "f")], harness={"doc_to_choice": templates})
    task = suite.tasks[0].task
    assert [task.doc_to_choice(document) for document in task.eval_docs] == [
        ["b", "not c", "neither"],
        ["e", "not f", "neither"],
    ]
    with pytest.raises(BadInputError, match=r"record 1: no prompt can be built.*harness\.doc_to_choice"):
        suite_of(tmp_path, [row("A", "b", "c")], harness={"doc_to_choice": ["{{choices[2]}}", "x"]}).version  # noqa: B018
    with pytest.raises(BadInputError, match="a choice 2 that is not a valid template"):
        suite_of(tmp_path, [row("A", "b", "c")], harness={"doc_to_choice": ["a", "{{choices"]})
