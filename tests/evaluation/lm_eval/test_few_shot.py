"""Few-shot examples are the same at every evaluation, and an item never follows its own answer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sequela.core.errors import BadInputError
from sequela.edited import EditedModel
from sequela.evaluation.lm_eval.suite import HarnessSuite
from sequela.inference import TorchEngine

OWN = {
    "benchmark": "mine",
    "protocol": "generation",
    "version": 1,
    "what": "Parity.",
    "max_new_tokens": 2,
    "shots": 3,
    "items": "items.jsonl",
    "readings": {
        "strict": {"extractors": ["first_line"], "compare": "name"},
        "lenient": {"extractors": ["first_line"], "compare": "name_within"},
    },
    "harness": {
        "doc_to_text": "Q: {{question}}\nA:",
        "doc_to_target": "{{answer}}",
        "generation_kwargs": {"until": ["\n"]},
    },
}
Rows = list[dict[str, Any]]


def rows(first: int, stop: int) -> Rows:
    return [
        {"question": f"Is item {i} odd?", "answer": f"{['no', 'yes'][i % 2]} ({i})"}
        for i in range(first, stop)
    ]


@pytest.fixture
def own(tmp_path: Path) -> Callable[..., HarnessSuite]:
    """Returns a function that writes a task file with its items, and opens it."""

    def make(
        items: Rows, limit: int | None = None, num_fewshot: int | None = None, **fields: Any
    ) -> HarnessSuite:
        write(tmp_path / "items.jsonl", items)
        harness = {**OWN["harness"], **fields.pop("harness", {})}  # type: ignore[dict-item]
        file = {**OWN, **fields, "harness": harness}
        (tmp_path / "mine.yaml").write_text(json.dumps(file), encoding="utf-8")
        return HarnessSuite(str(tmp_path / "mine.yaml"), limit=limit, num_fewshot=num_fewshot)

    return make


def write(path: Path, some: Rows) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in some), encoding="utf-8")


def prompts(suite: HarnessSuite, model: EditedModel) -> list[str]:
    """Returns the prompts of an evaluation, with their few-shot examples."""
    suite.evaluate(model, TorchEngine())
    return [instance.args[0] for task in suite.tasks for instance in task.task.instances]


SOURCES: dict[str, dict[str, Any]] = {
    "first items": {},
    "a file": {"examples": "examples.jsonl"},
    "samples": {"harness": {"fewshot_config": {"samples": rows(50, 54)}}},
    "random samples": {"harness": {"fewshot_config": {"samples": rows(50, 60), "sampler": "default"}}},
    "the items, at random": {"harness": {"fewshot_split": "test"}},
}


@pytest.mark.parametrize("source", SOURCES)
def test_prompts_are_the_same_at_every_evaluation(
    source: str, own: Callable[..., HarnessSuite], tmp_path: Path, edited: EditedModel
) -> None:
    write(tmp_path / "examples.jsonl", rows(70, 75))
    suite = own(rows(0, 12), **SOURCES[source])
    first = prompts(suite, edited)
    assert prompts(suite, edited) == first
    assert prompts(own(rows(0, 12), **SOURCES[source]), edited) == first  # a resumed run
    assert prompts(own(rows(0, 12), limit=4, **SOURCES[source]), edited) == first[:4]
    for prompt in first:
        *examples, asked = prompt.split("\n\n")
        assert len(examples) == 3
        assert not any(example.startswith(asked) for example in examples)


def test_the_first_items_are_the_examples_and_are_not_asked(
    own: Callable[..., HarnessSuite], edited: EditedModel
) -> None:
    (task,) = own(rows(0, 12)).tasks
    assert task.n_items == 9
    assert task.first_prompt == (
        "Q: Is item 0 odd?\nA: no (0)\n\nQ: Is item 1 odd?\nA: yes (1)\n\nQ: Is item 2 odd?\nA: no (2)\n\n"
        "Q: Is item 3 odd?\nA:"
    )
    assert "the first 3 items are the few-shot examples and are not asked" in task.note
    (fewer,) = own(rows(0, 12), num_fewshot=1).tasks
    assert (fewer.n_items, fewer.first_prompt.count("Q:")) == (9, 2)  # the same items, whatever the number
    assert fewer.first_prompt.endswith("Is item 3 odd?\nA:")


def test_examples_come_from_a_file_and_all_items_are_asked(
    own: Callable[..., HarnessSuite], tmp_path: Path
) -> None:
    write(tmp_path / "examples.jsonl", rows(70, 75))
    (task,) = own(rows(0, 12), examples="examples.jsonl").tasks
    assert task.n_items == 12
    assert [line for line in task.first_prompt.splitlines() if line.startswith("Q")] == [
        f"Q: Is item {i} odd?" for i in (70, 71, 72, 0)
    ]


def test_an_included_definition_keeps_its_examples(own: Callable[..., HarnessSuite]) -> None:
    (task,) = own(
        rows(0, 4),
        include="gsm8k/gsm8k-cot.yaml",
        harness={
            "doc_to_text": "Q: {{question}}\nA:",
            "doc_to_target": "{{answer if answer is defined else target}}",
        },
    ).tasks
    assert task.n_items == 4
    assert task.first_prompt.startswith("Q: There are 15 trees")


def test_an_included_definition_keeps_its_training_split(
    small_data: Path, tmp_path: Path, edited: EditedModel
) -> None:
    file = {
        **OWN,
        "items": "",
        "include": "commonsense_qa/default.yaml",
        "local": {"path": "commonsenseqa/dev_rand_split.jsonl", "layout": "commonsenseqa"},
        "harness": {
            "doc_to_choice": None,
            "doc_to_target": "{{answerKey}}",
            "generation_kwargs": {"until": ["\n"]},
        },
    }
    (tmp_path / "mine.yaml").write_text(json.dumps(file), encoding="utf-8")
    suite = HarnessSuite(str(tmp_path / "mine.yaml"))
    first = prompts(suite, edited)
    assert prompts(suite, edited) == first
    for prompt in first:
        spoons = [int(number) for number in re.findall(r"spoon (\d+)", prompt)]
        assert spoons[:3] == [1000, 1001, 1002]  # the training items of `small_data`
        assert spoons[3] < 1000


def test_the_version_covers_the_examples(own: Callable[..., HarnessSuite], tmp_path: Path) -> None:
    write(tmp_path / "examples.jsonl", rows(70, 75))
    before = own(rows(0, 12), limit=2, examples="examples.jsonl").version
    write(tmp_path / "examples.jsonl", rows(71, 76))
    assert own(rows(0, 12), limit=2, examples="examples.jsonl").version != before
    at_random = {"harness": {"fewshot_split": "test"}}
    drawn = own(rows(0, 12), limit=2, **at_random).version
    changed = rows(0, 12)
    changed[-1]["answer"] = "who knows"  # not asked, but it may be an example
    assert own(changed, limit=2, **at_random).version != drawn


@pytest.mark.parametrize(
    ("items", "examples", "fields", "message"),
    [
        (rows(0, 3), None, {}, r"has 3 items; the first 3 would be the few-shot examples"),
        (rows(0, 3), rows(5, 7), {}, r"examples\.jsonl has 2 few-shot examples; .* shots: 3"),
        (rows(0, 3), [{"question": "Why?"}] * 3, {}, r"examples\.jsonl, example 1: no few-shot example"),
        (rows(0, 9), rows(4, 7), {}, r"items\.jsonl, record 5: its question is that of a few-shot example"),
        (
            [*rows(0, 5), rows(1, 2)[0]],
            None,
            {},
            r"item 6: its question .*items\.jsonl, item 2\)",
        ),
        (
            [*rows(0, 5), {**rows(1, 2)[0], "question": "Is  item 1 odd? "}],
            None,
            {},
            r"item 6: its question .*items\.jsonl, item 2\)",
        ),
        (
            rows(0, 9),
            None,
            {"harness": {"fewshot_config": {"samples": rows(4, 7)}}},
            r"record 5: its question .*few-shot example 1\)",
        ),
        (
            [*rows(0, 9), {**rows(1, 2)[0], "answer": "who knows"}],
            None,
            {"harness": {"fewshot_split": "test"}},
            r"record 2: its question .*few-shot example 10\)",
        ),
        (rows(0, 9), rows(20, 23), {"shots": 0}, r"it needs shots"),
    ],
)
def test_examples_that_cannot_be_used_are_reported(
    items: Rows,
    examples: Rows | None,
    fields: dict[str, Any],
    message: str,
    own: Callable[..., HarnessSuite],
    tmp_path: Path,
) -> None:
    if examples is not None:
        write(tmp_path / "examples.jsonl", examples)
        fields = {**fields, "examples": "examples.jsonl"}
    with pytest.raises(BadInputError, match=message):
        _ = own(items, **fields).version
