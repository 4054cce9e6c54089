"""A task file is checked as a whole before anything runs, and names no code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from sequela.core.errors import BadInputError
from sequela.evaluation.lm_eval.catalog import benchmark_names, find_benchmark
from sequela.evaluation.lm_eval.harness_keys import CHECKS, length_problem
from sequela.evaluation.lm_eval.suite import HarnessSuite
from sequela.evaluation.lm_eval.task_file import TaskFile, read_task_file, task_files
from sequela.evaluation.registry import suite_names
from sequela.results import ALARMS, EDIT_QUALITY
from support.own_task import OWN

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "task-files.md"


def written(folder: Path, change: dict[str, Any]) -> Path:
    """Writes the task file with some fields changed; a dotted name is a field of `harness`."""
    content = yaml.safe_load(OWN)
    for key, value in change.items():
        where, _, field = key.rpartition(".")
        (content["harness"] if where else content)[field] = value
    (folder / "capitals.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    (folder / "capitals.jsonl").write_text('{"country": "Peru", "capital": "Lima"}\n', encoding="utf-8")
    return folder / "capitals.yaml"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"harness.doc_to_txt": "x"}, "harness.doc_to_txt is unknown (did you mean 'doc_to_text'?)"),
        ({"protocl": "x"}, "the field 'protocl' is unknown (did you mean 'protocol'?)"),
        ({"num_fewshot": 3}, "the field 'num_fewshot' is unknown (did you mean 'shots'?)"),
        ({"n-shots": 3}, "the field 'n-shots' is unknown (did you mean 'shots'?)"),
        ({"local": {"path": "x", "layot": "y"}}, "did you mean 'layout'?"),
        ({"harness.doc_to_text": "{{ a"}, "harness.doc_to_text is not a valid template"),
        ({"harness.doc_to_text": 3}, "harness.doc_to_text is 3, expected a template"),
        ({"harness.output_type": "multiple_choice"}, "the protocol implies generate_until"),
        ({"protocol": "answers"}, "readings, options and max_new_tokens are only for"),
        ({"harness.generation_kwargs": {"untl": ["x"]}}, "unknown key 'untl' (did you mean 'until'?)"),
        ({"harness.generation_kwargs": {"until": [""]}}, "an empty text under `until`"),
        ({"harness.generation_kwargs": {"until": ""}}, "an empty text under `until`"),
        ({"harness.generation_kwargs": {"until": ["\n", ""]}}, "an empty text under `until`"),
        ({"harness.generation_kwargs": {"until": [3]}}, "neither a text nor a list of texts"),
        ({"harness.generation_kwargs": {"do_sample": True}}, "asks for sampling"),
        ({"harness.generation_kwargs": {"max_gen_toks": -1}}, "use the field 'max_new_tokens'"),
        ({"max_new_tokens": -1}, "the field 'max_new_tokens'"),
        ({"max_new_tokens": 10**9}, "the field 'max_new_tokens'"),
        ({"shots": 10**12}, "the field 'shots'"),
        ({"items": "../capitals.jsonl"}, "'items' is '../capitals.jsonl', which is not in the folder"),
        ({"items": "data/../../capitals.jsonl"}, "which is not in the folder of the task file"),
        ({"items": "/etc/passwd"}, "which is not in the folder of the task file"),
        ({"examples": "/etc/passwd", "shots": 1}, "'examples' is '/etc/passwd', which is not in the folder"),
        ({"items": "a\0b"}, "the field 'items' has a NUL character"),
        ({"harness.fewshot_config": {"samplr": "x"}}, "unknown key 'samplr' (did you mean 'sampler'?)"),
        ({"harness.num_fewshot": 3}, "use the field 'shots'"),
        ({"harness.metric_list": [{"metric": "/some/file.py", "hf_evaluate": True}]}, "is not allowed"),
        ({"harness.process_results": "helpers.score"}, "runs no code"),
        ({"harness.class": "helpers.Task"}, "runs no code"),
        ({"harness.dataset_kwargs": {"trust_remote_code": True}}, "runs no code"),
        ({"harness.dataset_path": "data/script.py"}, "names a script"),
    ],
)
def test_a_wrong_field_is_reported_when_the_file_is_read(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(BadInputError) as caught:
        read_task_file(written(tmp_path, change))
    assert message in str(caught.value)
    assert "capitals.yaml" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"include": "../../../../../evil.yaml"}, "outside of lm-evaluation-harness"),
        ({"include": "/etc/evil.yaml"}, "outside of lm-evaluation-harness"),
        ({"harness.fewshot_delimiter": "", "harness.generation_kwargs": None}, "an empty text under `until`"),
        ({"harness.doc_to_target": "{{capital and ''}}"}, "record 1: .* no answer could match ''"),
        (
            {"harness.doc_to_text": "{{ cycler.__init__.__globals__.os.getcwd() }}"},
            "is unsafe",
        ),
    ],
)
def test_other_faults_are_reported_before_the_run(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(BadInputError, match=message):
        _ = HarnessSuite(str(written(tmp_path, change))).version


def test_a_gold_answer_that_no_number_can_match_is_reported(tmp_path: Path) -> None:
    numbers = {
        "strict": {"extractors": ["stated_number"], "compare": "number"},
        "lenient": {"extractors": ["last_number"], "compare": "number"},
    }
    with pytest.raises(BadInputError, match=r"capitals\.jsonl, record 1: .* match 'Lima' as a number"):
        _ = HarnessSuite(str(written(tmp_path, {"readings": numbers}))).version


@pytest.mark.parametrize("tag", ["!function helpers.text", "!!python/name:os.system", "!<!function> a.b"])
def test_a_tag_that_names_code_is_refused(tag: str, tmp_path: Path) -> None:
    text = OWN.replace('doc_to_text: "The capital of {{country}} is"', f"doc_to_text: {tag}")
    (tmp_path / "capitals.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(BadInputError, match=r"has the tag \S+ in line \d+; it is data and can't name code"):
        read_task_file(tmp_path / "capitals.yaml")


def test_a_choice_task_needs_choices(tmp_path: Path) -> None:
    change = {
        "protocol": "answers",
        "readings": {},
        "max_new_tokens": None,
        "harness.generation_kwargs": None,
    }
    with pytest.raises(BadInputError, match="scores choices, and it has none"):
        _ = HarnessSuite(str(written(tmp_path, change))).version


def test_the_files_of_the_program_are_valid() -> None:
    assert {file.benchmark for file in task_files()} == set(benchmark_names())


def test_the_reference_page_has_every_field() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for field in (*TaskFile.model_fields, *CHECKS):
        assert f"`{field}`" in page, field


@pytest.mark.parametrize("key", ["items", "examples"])
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("x" * 5000, "File name too long"),
        (f"{'x' * 300}.jsonl", "File name too long"),
        ("none.jsonl", "has no such file"),
        ("capitals.yaml/x", "Not a directory"),
        ("folder", "it is a folder"),
        ("loop", "it can't be reached"),
        ("pipe", "it is no regular file"),
    ],
)
def test_a_file_that_is_not_there_is_reported_with_the_reason(
    key: str, name: str, reason: str, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    path = written(tmp_path, {key: name, "shots": 1})
    with pytest.raises(BadInputError, match=reason) as caught:
        find_benchmark(str(path))
    assert "capitals.yaml" in str(caught.value)
    assert f"`{key}`" in str(caught.value)
    assert len(str(caught.value)) < 600


def test_items_may_be_in_a_folder_below(tmp_path: Path) -> None:
    path = written(tmp_path, {"items": "data/capitals.jsonl"})
    (tmp_path / "data").mkdir()
    (tmp_path / "capitals.jsonl").rename(tmp_path / "data" / "capitals.jsonl")
    assert HarnessSuite(str(path)).tasks[0].n_items == 1


@pytest.mark.parametrize("name", [*suite_names(), EDIT_QUALITY, ALARMS])
def test_no_name_of_other_results_is_taken(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=rf"capitals\.yaml.* the name '{name}'"):
        find_benchmark(str(written(tmp_path, {"benchmark": name})))


@pytest.mark.parametrize("length", [0, -3, 2**40, 1.5, True, "8"])
def test_the_length_of_answers_in_a_definition_is_checked(length: Any) -> None:
    assert "max_gen_toks" in length_problem(length)
    assert length_problem(256) == length_problem(None) == ""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": True}, "the field 'version' is True, expected a number"),
        ({"max_new_tokens": True}, "the field 'max_new_tokens' is True"),
        ({"chance": False}, "the field 'chance' is False"),
        ({"metrics": []}, "the field 'metrics' is an empty list; leave it out"),
        ({"shuffled": []}, "the field 'shuffled' is an empty list"),
        ({"metrics": ["accuracy", "accuracy"]}, "the field 'metrics' names 'accuracy' twice"),
    ],
)
def test_numbers_and_lists_mean_what_they_say(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "capitals.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(OWN), **change}), encoding="utf-8")
    with pytest.raises(BadInputError) as caught:
        read_task_file(path)
    assert message in caught.value.message
