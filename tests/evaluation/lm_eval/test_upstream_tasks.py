from __future__ import annotations

from pathlib import Path

import pytest

from sequela.core.errors import BadInputError, SequelaError, UnknownNameError
from sequela.evaluation.lm_eval.catalog import (
    benchmark_names,
    check_subtasks,
    files_of,
    protocols_of,
    subtasks_of,
)
from sequela.evaluation.lm_eval.task_file import FOLDER, SUBJECT, TaskFile, read_task_file, task_files
from sequela.evaluation.lm_eval.upstream_tasks import UpstreamFunction, read_definition, resolved
from support.own_task import OWN


def test_the_papers_benchmarks_and_protocols_come_first() -> None:
    assert {name: protocols_of(name) for name in benchmark_names()} == {
        "mmlu": ("generation", "letters", "answers"),
        "bbh": ("generation",),
        "gsm8k": ("generation",),
        "commonsenseqa": ("generation", "letters", "answers"),
        "triviaqa": ("generation",),
        "truthfulqa": ("loglikelihood",),
        "toxigen": ("loglikelihood",),
    }
    shots = {one.benchmark: one.shots for one in task_files()}
    assert shots == {
        "mmlu": 5,
        "bbh": 3,
        "gsm8k": 8,
        "commonsenseqa": 7,
        "triviaqa": 0,
        "truthfulqa": 0,
        "toxigen": 0,
    }


def test_every_file_is_named_after_its_task() -> None:
    for path in FOLDER.glob("*.yaml"):
        file = read_task_file(path)
        assert path.stem in (f"{file.benchmark}-{file.protocol}", file.name.replace("_", "-"))


@pytest.mark.parametrize("file", task_files(), ids=lambda file: f"{file.name}-{file.protocol}")
def test_every_file_includes_an_upstream_definition(file: TaskFile) -> None:
    for subtask in subtasks_of(file) or ("",):
        definition = read_definition(file.include.replace(SUBJECT, subtask))
        assert {"doc_to_text", "dataset_path", "task"} <= set(definition)
        assert "include" not in definition


def test_the_subtasks_of_benchmarks() -> None:
    mmlu, bbh = files_of("mmlu")[0], files_of("bbh")[0]
    assert len(subtasks_of(mmlu)) == 57
    assert len(subtasks_of(bbh)) == 27
    assert subtasks_of(files_of("gsm8k")[0]) == ()
    assert check_subtasks(bbh, ["navigate"]) == ("navigate",)
    with pytest.raises(UnknownNameError, match="'navigate'"):
        check_subtasks(bbh, ["navigat"])


def test_functions_are_imported_on_demand() -> None:
    definition = read_definition("toxigen/toxigen.yaml")
    assert definition["doc_to_target"] == UpstreamFunction("lm_eval.tasks.toxigen.utils", "doc_to_target")
    target = resolved(definition)["doc_to_target"]
    assert [target({"toxicity_ai": ai, "toxicity_human": 2.5}) for ai in (3.0, 3.1)] == [0, 1]


def test_own_keys_take_precedence_over_included_ones() -> None:
    first, second = (read_definition(f"truthfulqa/truthfulqa_mc{i}.yaml") for i in (1, 2))
    assert second["doc_to_text"] == first["doc_to_text"]
    assert (first["metadata"]["version"], second["metadata"]["version"]) == (2.0, 3.0)


def test_a_missing_definition_is_named() -> None:
    with pytest.raises(SequelaError, match="mmlu/none"):
        read_definition("mmlu/none.yaml")


def test_a_users_own_file(tmp_path: Path) -> None:
    path = tmp_path / "capitals.yaml"
    path.write_text(OWN, encoding="utf-8")
    (tmp_path / "capitals.jsonl").touch()
    file = read_task_file(path)
    assert (file.name, file.version, file.shots, file.items) == ("capitals", 2, 0, "capitals.jsonl")
    assert files_of(str(path)) == (file,)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("what: Capitals of countries.\n", "", "the field 'what' is missing"),
        ("version: 2", "version: none", "the field 'version': "),
        ("version: 2", "verzion: 2", "verzion"),
        (
            "first_line], compare: name}",
            "guess], compare: name}",
            "'readings.strict.extractors' has the unknown extractor 'guess'",
        ),
        (
            "compare: name_within",
            "compare: roughly",
            "'readings.lenient.compare' is the unknown comparison 'roughly'",
        ),
        ("max_new_tokens: 8\n", "", "needs max_new_tokens"),
        (
            "  strict: {extractors: [first_line], compare: name}\n",
            "",
            "needs the readings strict and lenient",
        ),
        ("protocol: generation", "protocol: letters", "are only for tasks with generated answers"),
        ("items: capitals.jsonl\n", "", "an upstream definition to include, or items of its own"),
        ('  doc_to_text: "The capital of {{country}} is"\n', "", "needs harness.doc_to_text"),
        ("benchmark: capitals", "benchmark: [", "is not YAML"),
        (OWN, "- capitals", "not a mapping"),
    ],
)
def test_errors_in_a_file_are_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "capitals.yaml"
    assert old in OWN
    path.write_text(OWN.replace(old, new), encoding="utf-8")
    with pytest.raises(BadInputError) as caught:
        read_task_file(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="can't be read"):
        read_task_file(tmp_path / "none.yaml")
