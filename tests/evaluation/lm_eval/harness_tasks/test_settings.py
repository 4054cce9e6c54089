from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sequela.core.errors import BadInputError, UnknownNameError
from sequela.edited import EditedModel
from sequela.evaluation.lm_eval.harness_tasks.settings import check_harness_task
from sequela.evaluation.lm_eval.harness_tasks.suite import HarnessTaskSuite
from sequela.evaluation.registry import check_options, make_suite
from sequela.inference import TorchEngine
from support.harness_data import DATA_SETS, write_rows

OWN_TASK = """
task: mine
dataset_path: nobody/nothing
output_type: multiple_choice
test_split: test
doc_to_text: !function helpers.text
doc_to_target: label
doc_to_choice: ["no", "yes"]
"""


@pytest.fixture
def own_task(tmp_path: Path) -> dict[str, str]:
    """A task in the harness's format with its own code, and its data."""
    (tmp_path / "mine.yaml").write_text(OWN_TASK)
    (tmp_path / "helpers.py").write_text("def text(doc):\n    return 'Sure? ' + doc['claim']\n")
    rows = write_rows(
        tmp_path / "rows.jsonl", [{"claim": "It rains.", "label": 1}, {"claim": "No.", "label": 0}]
    )
    return {"task": str(tmp_path / "mine.yaml"), "data": str(rows)}


def test_code_from_outside_the_harness_is_run_only_with_permission(
    own_task: dict[str, str], tiny_edited: EditedModel
) -> None:
    with pytest.raises(
        BadInputError, match=r"outside lm-evaluation-harness: the function helpers.text"
    ) as caught:
        check_harness_task(**own_task)
    assert "trust_remote_code: true" in str(caught.value)
    suite = HarnessTaskSuite(**own_task, trust_remote_code=True)
    (accuracy, *_) = suite.evaluate(tiny_edited, TorchEngine())
    assert accuracy.task.startswith("mine (harness ")
    assert [item.prompt for item in accuracy.items] == ["Sure? It rains.", "Sure? No."]


@pytest.mark.parametrize("setting", ["trust_remote_code", "confirm_run_unsafe_code"])
def test_the_error_for_a_task_that_runs_code_names_the_setting(
    setting: str, harness_task_with_code: dict[str, str]
) -> None:
    task = harness_task_with_code[setting]
    with pytest.raises(BadInputError, match=setting):
        check_harness_task(task=task)
    assert check_harness_task(task=task, **{setting: True}).task == task  # type: ignore[arg-type]


@pytest.fixture
def harness_task_with_code() -> dict[str, str]:
    """Tasks of the installed harness that need to run code for their data or scores, by setting."""
    return {"trust_remote_code": "xnli_va", "confirm_run_unsafe_code": "humaneval"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "arc_easy", "data": "nowhere.jsonl"}, "nowhere.jsonl is missing"),
        ({"task": "arc_easy", "data": {}}, "names no file"),
        ({"task": "ai2_arc", "data": {"test": "x.jsonl"}}, "has 2 tasks"),
        ({"task": "arc_easy", "data": "."}, "has no data for the task 'arc_easy'"),
        ({"task": "no/such/file.yaml"}, "The file no/such/file.yaml does not exist"),
        ({"task": "arc_easy", "num_fewshot": -1}, "num_fewshot = -1"),
        ({}, "needs the option 'task'"),
    ],
)
def test_missing_data_and_options_are_reported_before_loading(
    options: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInputError) as caught:
        check_options("lm_eval", options)
    assert message in str(caught.value)


def test_the_suites_name_may_include_the_task(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "test.jsonl", DATA_SETS["arc_easy"]["test"])
    suite = make_suite("lm_eval:arc_easy", data=str(rows))
    assert suite.name == "lm_eval:arc_easy"
    assert suite.version == make_suite("lm_eval", task="arc_easy", data=str(rows)).version
    with pytest.raises(UnknownNameError, match="arc_easy"):
        make_suite("lm_eval:arc_eazy")
    with pytest.raises(BadInputError, match="names no task"):
        make_suite("lm_eval:")
    with pytest.raises(BadInputError, match="as an option"):
        make_suite("lm_eval:arc_easy", task="hellaswag")


def test_few_shot_examples_of_a_task_without_any_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="has no few-shot examples"):
        _ = HarnessTaskSuite(
            task="arc_challenge_chat",
            num_fewshot=2,
            data=str(write_rows(tmp_path / "test.jsonl", DATA_SETS["arc_easy"]["test"])),
        ).version


def test_an_empty_stop_text_is_reported_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "task: mine\ntest_split: test\ndoc_to_text: question\ndoc_to_target: answer\n"
        "output_type: generate_until\ngeneration_kwargs: {until: ['\\n', '']}\n"
    )
    rows = write_rows(tmp_path / "rows.jsonl", [{"question": "2 + 2?", "answer": "4"}])
    with pytest.raises(BadInputError, match="'mine' has an empty text under `until`"):
        _ = HarnessTaskSuite(task=str(tmp_path / "mine.yaml"), data=str(rows)).version
