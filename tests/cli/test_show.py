"""`sequela show`."""

from __future__ import annotations

from pathlib import Path

import pytest

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
