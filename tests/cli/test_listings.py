"""The listing commands: text for people and JSON for programs."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from sequela.editors import editor_names
from support.commands import Sequela
from support.own_task import OWN

COMMANDS = {
    "demo": ["--output", "--json"],
    "run": ["STUDY", "--output", "--json"],
    "results": ["RUN", "--suite", "--editor", "--json"],
    "report": ["RUN", "--output"],
    "edit": ["--subject", "--prompt", "--target", "--hparams", "--contexts", "--output", "--json"],
    "evaluate": ["--suite", "--delta", "--limit", "--json"],
    "stats": ["--source", "--tokens", "--layers", "--json"],
    "methods": ["--json"],
    "models": ["--json"],
    "edits": ["--example", "--schema", "--json"],
    "tasks": ["--json"],
}


def test_the_program_lists_all_commands(sequela: Sequela) -> None:
    answer = sequela("--help")
    assert answer.exit_code == 0
    for command in COMMANDS:
        assert command in answer.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_the_options(sequela: Sequela, command: str) -> None:
    for flag in ("--help", "-h"):
        answer = sequela(command, flag)
        assert answer.exit_code == 0
        assert f"sequela {command}" in answer.stdout
        for option in COMMANDS[command]:
            assert option.lower() in answer.stdout.lower()


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["methods"], "rome"),
        (["edits"], "counterfact"),
        (["tasks"], "builtin"),
    ],
)
def test_listings_are_tables_for_people_and_lists_for_programs(
    sequela: Sequela, arguments: list[str], name: str
) -> None:
    table, listed = sequela(*arguments), sequela(*arguments, "--json")
    assert (table.exit_code, listed.exit_code) == (0, 0)
    assert name in table.stdout
    assert name in [one["name"] for one in listed.json]
    assert listed.stderr == ""


def test_a_task_file_of_the_user_is_checked_and_described(sequela: Sequela, tmp_path: Path) -> None:
    file = tmp_path / "capitals.yaml"
    file.write_text(OWN, encoding="utf-8")
    (tmp_path / "capitals.jsonl").write_text('{"country": "Peru", "capital": "Lima"}\n' * 3, encoding="utf-8")
    answer = sequela("tasks", file, "--json")
    assert answer.exit_code == 0, answer.stderr
    (described,) = answer.json
    assert (described["name"], described["here"], described["origin"]) == ("capitals", 3, str(file))
    text = sequela("tasks", file).stdout
    assert "capitals (generation)" in text
    assert "3 items" in text
    assert "The capital of Peru is\n\nRight answer: Lima" in text


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("version: 2", "version: 2\nprotocl: x", "'protocl'"),
        ("benchmark: capitals", "benchmark: mmlu", "'mmlu' is that of an existing benchmark"),
        ("{{country}}", "{{contry}}", "'contry' is not a field of the record (did you mean 'country'?)"),
        ("{{country}}", "{{country", "harness.doc_to_text is not a valid template"),
        ('  doc_to_target: "{{capital}}"\n', "", "'capitals' can't be built"),
        ("protocol: generation", "protocol: choices", "harness"),
    ],
)
def test_errors_in_a_task_file_of_the_user_are_reported(
    sequela: Sequela, tmp_path: Path, old: str, new: str, expected: str
) -> None:
    (tmp_path / "capitals.jsonl").write_text('{"country": "Peru", "capital": "Lima"}\n', encoding="utf-8")
    (tmp_path / "capitals.yaml").write_text(OWN.replace(old, new), encoding="utf-8")
    answer = sequela("tasks", tmp_path / "capitals.yaml")
    assert answer.exit_code == 2
    assert expected in answer.stderr


def test_models_are_listed_with_the_architectures(sequela: Sequela) -> None:
    listed = sequela("models", "--json").json
    assert "smollm2-135m-instruct" in json.dumps(listed["aliases"])
    assert {"LlamaForCausalLM", "GPT2LMHeadModel", "Gemma3ForCausalLM"} <= set(listed["architectures"])
    assert "LlamaForCausalLM" in sequela("models").stdout


@pytest.mark.parametrize("name", editor_names())
def test_a_method_is_shown_with_its_settings(sequela: Sequela, name: str) -> None:
    (one,) = sequela("methods", name, "--json").json
    assert one["name"] == name
    assert all(one["hyperparameters"].values())
    assert "preset" in sequela("methods", name).stdout


def test_the_first_edits_of_a_source_are_shown(sequela: Sequela) -> None:
    shown = sequela("edits", "builtin", "--limit", 3, "--json").json
    assert shown["edits"] >= 200
    assert len(shown["first"]) == 3
    assert shown["first"][0]["subject"] in sequela("edits", "builtin", "--limit", 3).stdout


def test_long_texts_are_shortened_in_listings_but_not_in_json(sequela: Sequela, tmp_path: Path) -> None:
    long = "word " * 36_000
    line = {"id": "a", "subject": "Ada", "prompt": f"{long}{{}} is", "target_new": "here"}
    lines = [line, line | {"id": "b", "target_new": "there"}]
    (tmp_path / "facts.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    for options in ((), ("--check",)):
        text = sequela("edits", "facts.jsonl", *options).stdout
        assert "word word" in text
        assert len(text) < 20_000
    assert "here (a), then there (b)" in " ".join(sequela("edits", "facts.jsonl", "--check").stdout.split())
    assert sequela("edits", "facts.jsonl", "--json").json["first"][0]["prompt"] == line["prompt"]


def test_the_example_line_is_a_file_of_edits(sequela: Sequela, tmp_path: Path) -> None:
    answer = sequela("edits", "--example")
    assert (answer.exit_code, answer.stdout.count("\n")) == (0, 1)
    (tmp_path / "facts.jsonl").write_text(answer.stdout, encoding="utf-8")
    (edit,) = sequela("edits", tmp_path / "facts.jsonl", "--json").json["first"]
    assert edit["id"] == answer.json["id"]


def test_the_schema_of_an_edit_accepts_the_example_and_rejects_others(sequela: Sequela) -> None:
    schema = sequela("edits", "--schema").json
    validator = jsonschema.validators.validator_for(schema)
    validator.check_schema(schema)
    example = sequela("edits", "--example").json
    validator(schema).validate(example)
    del example["target_new"]
    assert not validator(schema).is_valid(example)


@pytest.mark.parametrize(
    ("arguments", "near"),
    [
        (["methods", "romee"], "'rome'"),
        (["edits", "counterfct"], "'counterfact'"),
        (["evaluate", "--suite", "biltin"], "'builtin'"),
        (["evaluate", "smollm2-135m-instrct"], "'smollm2-135m-instruct'"),
        (["edit", "--editor", "memitt"], "'memit'"),
        (["edit", "--edits", "zsr"], "'zsre'"),
        (["stats", "smollm-135m"], "'smollm2-135m-instruct'"),
        (["resluts"], "results"),
        (["edit", "--subjct", "x"], "--subject"),
    ],
)
def test_unknown_names_exit_with_2_and_near_matches_without_a_traceback(
    sequela: Sequela, arguments: list[str], near: str
) -> None:
    answer = sequela(*arguments)
    assert answer.exit_code == 2
    assert near in answer.stderr
    assert "Traceback" not in answer.stderr
    assert answer.stdout == ""
