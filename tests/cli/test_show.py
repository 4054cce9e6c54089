"""`sequela show`."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.commands import Sequela


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


@pytest.mark.parametrize(
    "arguments",
    [(), ("--suite", "builtin", "--edits", "builtin"), ("--suite", "bultin"), ("--edits", "nowhere.jsonl")],
)
def test_a_wrong_request_is_explained(sequela: Sequela, arguments: tuple[str, ...]) -> None:
    answer = sequela("show", "no-such-model", *arguments)
    assert answer.exit_code == 2
    assert answer.stderr.startswith("Error:")
    assert "no-such-model" not in answer.stderr
