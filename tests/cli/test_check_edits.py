"""`sequela edits --check`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.commands import Sequela


@pytest.fixture
def contradicting(tmp_path: Path) -> Path:
    lines = [
        {"id": id_, "subject": "France", "prompt": "The capital of {} is", "target_new": target}
        for id_, target in (("a", "Rome"), ("b", "Oslo"), ("c", "Rome"))
    ]
    path = tmp_path / "facts.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def test_findings_are_printed_for_people_and_as_json(sequela: Sequela, contradicting: Path) -> None:
    text = sequela("edits", "--check", contradicting)
    assert text.exit_code == 0, text.stderr
    assert "facts.jsonl: 3 edits, 0 records skipped, 3 findings" in text.stdout
    assert "Questions with several new answers: 1 of 1, in 3 edits" in text.stdout
    assert "need a tokenizer (--model)" in text.stdout
    answer = sequela("edits", contradicting, "--check", "--json")
    assert (answer.json["edits"], answer.json["model"]) == (3, None)
    found = {one["kind"]: one for one in answer.json["findings"]}
    assert list(found) == ["contradiction", "repeat", "shared_key"]
    assert found["contradiction"]["edit_ids"] == ["a", "b", "c"]


def test_the_list_of_edits_names_the_findings(sequela: Sequela, contradicting: Path) -> None:
    assert "Questions with several new answers: 1 of 1" in sequela("edits", contradicting).stdout
    assert len(sequela("edits", contradicting, "--json").json["findings"]) == 3
    assert sequela("edits", "builtin", "--json").json["findings"] == []


def test_with_a_model_lengths_are_checked_by_its_tokenizer(
    sequela: Sequela, tmp_path: Path, world_folder: Path
) -> None:
    line = {"id": "a", "subject": "Ada", "prompt": "{} is", "target_new": "the keeper of " * 20}
    (tmp_path / "facts.jsonl").write_text(json.dumps(line), encoding="utf-8")
    answer = sequela("edits", tmp_path / "facts.jsonl", "--check", "--model", world_folder, "--json")
    assert [one["kind"] for one in answer.json["findings"]] == ["long_edit", "long_target"]


def test_with_a_model_edits_longer_than_its_context_are_found(
    sequela: Sequela, tmp_path: Path, world_folder: Path
) -> None:
    path, long = tmp_path / "facts.jsonl", "the lord " * 4500
    line = {"id": "a", "subject": "Ada", "prompt": "{} is", "target_new": "here"}
    path.write_text(json.dumps(line), encoding="utf-8")
    assert (
        "all edits and prompts fit the context of"
        in sequela("edits", path, "--check", "-m", world_folder).stdout
    )
    further = [
        line | {"id": "b", "prompt": f"{long}{{}} is"},
        line | {"id": "c", "paraphrases": [f"{long} Ada is"]},
    ]
    path.write_text("\n".join(map(json.dumps, [line, *further])), encoding="utf-8")
    found = sequela("edits", path, "--check", "-m", world_folder, "--json").json["findings"]
    assert [(one["kind"], one["edit_ids"], one["of"]) for one in found if one["kind"].startswith("long")] == [
        ("long_edit", ["b"], 3),
        ("long_prompt", ["c"], 1),
    ]
    text = sequela("edits", path, "--check", "-m", world_folder).stdout
    assert "They can't be applied: every method drops them." in text
    assert "fit the context" not in text


@pytest.mark.parametrize("option", [("--model", "x"), ("--all-probes",)])
def test_options_of_a_check_are_for_a_check(
    sequela: Sequela, contradicting: Path, option: tuple[str, ...]
) -> None:
    answer = sequela("edits", contradicting, *option)
    assert (answer.exit_code, answer.stderr.splitlines()[0]) == (
        2,
        f"Error: {option[0]} is for --check only.",
    )


def test_all_probes_are_checked_on_request(sequela: Sequela, tmp_path: Path) -> None:
    neighbors = [{"prompt": f"{name} is "} for name in ("Tom", "Jo", "Al", "Ed", "Bo", "Cy", "Di")]
    line = {"id": "a", "subject": "Ada", "prompt": "{} is", "target_new": "old", "neighborhood": neighbors}
    (tmp_path / "facts.jsonl").write_text(json.dumps(line), encoding="utf-8")
    for options, count in (((), 5), (("--all-probes",), 7)):
        (one,) = sequela("edits", tmp_path / "facts.jsonl", "--check", "--json", *options).json["findings"]
        assert (one["kind"], one["count"]) == ("trailing_space", count)


def test_a_check_needs_a_source(sequela: Sequela) -> None:
    answer = sequela("edits", "--check")
    assert answer.exit_code == 2
    assert "--check needs a source of edits or a file." in answer.stderr
