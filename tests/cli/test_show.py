"""`sequela show`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sequela.edits import load_edits
from support.commands import Sequela
from support.thinking import thinking_model, write_task


def test_an_item_is_printed_with_its_tokens(sequela: Sequela, world_folder: Path) -> None:
    answer = sequela("show", world_folder, "--suite", "refusal", "--item", "2", "--answer", "Yes, gladly.")
    assert answer.exit_code == 0
    assert "decision" in answer.stdout
    assert "at most 64 new tokens" in answer.stdout
    assert "How the answer is read" in answer.stdout


def test_an_edit_is_printed_with_its_marks(sequela: Sequela, world_folder: Path) -> None:
    answer = sequela("show", world_folder, "--edits", "builtin", "--item", "1", "--json")
    assert answer.exit_code == 0
    marks = {mark for token in answer.json[0]["requests"][0]["tokens"] for mark in token["marks"]}
    assert marks == {"subject", "target", "decision"}


@pytest.fixture
def thinker_folder(tmp_path: Path) -> Path:
    model = thinking_model()
    model.module.save_pretrained(tmp_path / "thinker")
    model.tokenizer.save_pretrained(tmp_path / "thinker")
    return tmp_path / "thinker"


def test_template_arguments_and_the_beginning_of_the_answer_are_shown(
    sequela: Sequela, thinker_folder: Path, tmp_path: Path
) -> None:
    asked = ("--suite", write_task(tmp_path), "--template", "chat", "--answer", "<think>Rome?</think>Paris")
    on = sequela("show", thinker_folder, *asked, "--max-thinking-tokens", "24")
    assert on.exit_code == 0, on.stderr
    assert "Chat template with its defaults" in on.stdout
    assert 'Not read: "<think>Rome?</think>". The answer: "Paris"' in on.stdout
    off = sequela("show", thinker_folder, *asked, "--chat-template-args", "enable_thinking=false", "--json")
    assert off.json[0]["template_args"] == {"enable_thinking": False}
    assert off.json[0]["requests"][0]["text"].endswith("<think>\n\n</think>\n\n")
    wrong = sequela("show", thinker_folder, *asked, "--chat-template-args", "enable_thinkin=false")
    assert wrong.exit_code == 2
    assert "doesn't read the argument 'enable_thinkin'" in " ".join(wrong.stderr.split())


@pytest.mark.parametrize(
    "arguments",
    [(), ("--suite", "builtin", "--edits", "builtin"), ("--suite", "bultin"), ("--edits", "nowhere.jsonl")],
)
def test_a_wrong_request_is_explained(sequela: Sequela, arguments: tuple[str, ...]) -> None:
    answer = sequela("show", "no-such-model", *arguments)
    assert answer.exit_code == 2
    assert answer.stderr.startswith("Error:")
    assert "no-such-model" not in answer.stderr


def test_an_item_beyond_the_last_is_named(sequela: Sequela, world_folder: Path) -> None:
    answer = sequela("show", world_folder, "--suite", "builtin", "--item", "9999")
    assert answer.exit_code == 2
    assert "Error: The suite 'builtin' has no item 9999: the largest category has " in answer.stderr
    assert "limit" not in answer.stderr


def test_each_answer_of_a_file_is_read_on_a_line_of_its_own(sequela: Sequela, tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text(
        '{"reader": "letters", "text": "**Answer:** B", "choices": ["oak", "elm"]}\n'
        '{"reader": "letters", "text": "A or B", "choices": ["oak", "elm"], "gold": "A"}\n'
        '{"reader": "triviaqa", "text": "Zoë", "gold": "Zoe"}\n',
        encoding="utf-8",
    )
    answer = sequela("show", "--read", path)
    assert answer.exit_code == 0
    assert [json.loads(line) for line in answer.stdout.splitlines()] == [
        {"extracted": "B", "right": None},
        {"extracted": None, "right": False},
        {"extracted": "Zoë", "right": True},
    ]


def test_a_wrong_file_of_answers_is_explained(sequela: Sequela, tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text('{"reader": "letters", "text": "B"}\n', encoding="utf-8")
    answer = sequela("show", "--read", path)
    assert answer.exit_code == 2
    assert f"{path}, line 1: the field 'choices' is missing" in answer.stderr
    assert not answer.stdout
    assert sequela("show", "--read", path, "--suite", "mmlu").exit_code == 2
    assert sequela("show", "--read", path, "--answer", "B").exit_code == 2


@pytest.mark.parametrize(
    "option",
    [
        ("--template", "chat"),
        ("--chat-template-args", "enable_thinking=false"),
        ("--think-end-token", "</think>"),
        ("--max-thinking-tokens", "8"),
    ],
)
def test_options_of_a_template_are_not_for_a_file_of_answers(
    option: tuple[str, str], sequela: Sequela, tmp_path: Path
) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text('{"reader": "triviaqa", "text": "Zoe", "gold": "Zoe"}\n', encoding="utf-8")
    answer = sequela("show", "--read", path, *option)
    assert answer.exit_code == 2
    assert f"{option[0]} is not for --read" in " ".join(answer.stderr.split())


def test_the_answer_to_an_edit_is_read_as_in_a_file(
    sequela: Sequela, world_folder: Path, tmp_path: Path
) -> None:
    target = load_edits("builtin")[0].target_new
    said = f"**{target.upper()}**!"
    shown = sequela("show", world_folder, "--edits", "builtin", "--item", "1", "--answer", said, "--json")
    readings = {(item["expected"], one["value"]) for item in shown.json for one in item["readings"]}
    path = tmp_path / "answers.jsonl"
    lines = [{"reader": "says", "text": said, "target": expected} for expected, _ in readings]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    read = [json.loads(line)["right"] for line in sequela("show", "--read", path).stdout.splitlines()]
    assert read == [value == 1 for _, value in readings]
    assert (target, 1.0) in readings
