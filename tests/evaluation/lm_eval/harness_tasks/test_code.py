"""A definition that a user got from somewhere runs no code without permission."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from sequela.core.errors import BadInputError
from sequela.edited import EditedModel
from sequela.evaluation.lm_eval.harness_tasks.settings import check_harness_task
from sequela.evaluation.lm_eval.harness_tasks.suite import HarnessTaskSuite
from sequela.inference import TorchEngine
from support.harness_data import write_rows

PLAIN: dict[str, Any] = {
    "task": "mine",
    "dataset_path": "nobody/nothing",
    "output_type": "multiple_choice",
    "test_split": "test",
    "doc_to_text": "{{claim}}",
    "doc_to_target": "label",
    "doc_to_choice": ["no", "yes"],
}
MARKING = "from pathlib import Path\nPath('MARKER').write_text('ran')\n\n\ndef text(doc):\n    return 'x'\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, the working directory, with data and with Python files that leave a mark if they are run."""
    monkeypatch.chdir(tmp_path)
    write_rows(tmp_path / "rows.jsonl", [{"claim": "It rains.", "label": 1}, {"claim": "No.", "label": 0}])
    for name in ("helpers", "metric", "lm_eval/tasks/gsm8k/utils", "scripts/scripts"):
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(MARKING)
    return tmp_path


def written(folder: Path, content: dict[str, Any] | str) -> str:
    text = content if isinstance(content, str) else yaml.safe_dump({**PLAIN, **content})
    (folder / "mine.yaml").write_text(text)
    return str(folder / "mine.yaml")


TEXT = yaml.safe_dump({key: value for key, value in PLAIN.items() if key != "doc_to_text"})
NAMING_CODE: dict[str, dict[str, Any] | str] = {
    "function": TEXT + "doc_to_text: !function helpers.text\n",
    "function in quotes": TEXT + "doc_to_text: !function 'helpers.text'\n",
    "function by a verbatim tag": TEXT + "doc_to_text: !<!function> helpers.text\n",
    "function in a list": TEXT
    + "doc_to_text: x\nfilter_list: [{name: f, filter: [!function helpers.text]}]\n",
    "function on the next line": TEXT + "doc_to_text: !function\n  helpers.text\n",
    "function by a path": TEXT + "doc_to_text: !function ./helpers.text\n",
    "function in place of the harness's": TEXT + "doc_to_text: !function lm_eval.tasks.gsm8k.utils.text\n",
    "function of the harness": TEXT + "doc_to_text: !function lm_eval.api.registry.get_metric\n",
    "function by a tag's short form": "%TAG !f! !func\n---\n" + TEXT + "doc_to_text: !f!tion helpers.text\n",
    "class": {"class": "helpers.Task"},
    "metric of a path": {"metric_list": [{"metric": "./metric.py"}]},
    "metric of the hub": {"metric_list": [{"metric": "exact_match", "hf_evaluate": True}]},
    "metric that isn't known": {"metric_list": [{"metric": "somebody/metric"}]},
    "data set script": {"dataset_path": "scripts/scripts.py"},
    "data set folder with a script": {"dataset_path": "scripts"},
    "pickled data": {"dataset_path": "pandas", "dataset_kwargs": {"data_files": "x.pkl"}},
    "code of a repository": {"dataset_kwargs": {"trust_remote_code": True}},
    "prompts of a file": {"use_prompt": "prompts.yaml:one"},
    "code of the model": {"unsafe_code": True},
}


@pytest.mark.parametrize("kind", NAMING_CODE)
def test_what_names_code_is_refused_before_it_runs(kind: str, folder: Path) -> None:
    local = {} if kind == "code of a repository" else {"data": "rows.jsonl"}
    with pytest.raises(BadInputError) as caught:
        _ = HarnessTaskSuite(task=written(folder, NAMING_CODE[kind]), **local).version
    assert "trust_remote_code: true" in str(caught.value) or "confirm_run_unsafe_code" in str(caught.value)
    assert not (folder / "MARKER").exists()


@pytest.mark.parametrize("key", ["include", '"incl\\u0075de"', "? include\n"])
def test_an_included_file_is_checked_too(key: str, folder: Path) -> None:
    (folder / "base.yaml").write_text(TEXT + "doc_to_text: !function helpers.text\n")
    with pytest.raises(BadInputError, match=r"the function helpers\.text"):
        check_harness_task(task=written(folder, f"{key}: base.yaml\n"), data="rows.jsonl")
    (folder / "base.yaml").write_text("include: mine.yaml\n")
    with pytest.raises(BadInputError, match="includes it in turn"):
        check_harness_task(task=written(folder, "task: mine\ninclude: base.yaml\n"), data="rows.jsonl")


def test_templates_run_no_code(folder: Path, tiny_edited: EditedModel) -> None:
    attack = "{{ cycler.__init__.__globals__.os.system('touch MARKER') and '' }}"
    for field in ("doc_to_text", "doc_to_target", "doc_to_choice", "description", "gen_prefix"):
        suite = HarnessTaskSuite(
            task=written(folder, {field: attack, "doc_to_choice": ["no", "yes"]} | {field: attack}),
            data="rows.jsonl",
        )
        with pytest.raises(Exception, match="unsafe"):
            suite.evaluate(tiny_edited, TorchEngine())
        assert not (folder / "MARKER").exists()


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}]},
        {"use_prompt": "qa-basic:q-newline-a"},
        {"dataset_path": "json", "dataset_kwargs": {"data_files": "rows.jsonl"}},
        {"unsafe_code": False, "dataset_kwargs": {"trust_remote_code": False}},
    ],
)
def test_definitions_without_code_need_no_permission(fields: dict[str, Any], folder: Path) -> None:
    assert check_harness_task(task=written(folder, fields), data="rows.jsonl").task


def test_with_permission_the_code_runs(folder: Path) -> None:
    content = TEXT + "doc_to_text: !function helpers.text\n"
    _ = HarnessTaskSuite(task=written(folder, content), data="rows.jsonl", trust_remote_code=True).version
    assert (folder / "MARKER").exists()
