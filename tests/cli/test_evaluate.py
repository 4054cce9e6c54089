"""`sequela evaluate`."""

from __future__ import annotations

from pathlib import Path

from support.commands import Sequela


def test_a_chat_template_of_a_base_model_is_refused(sequela: Sequela, world_folder: Path) -> None:
    answer = sequela("evaluate", world_folder, "--suite", "perplexity", "--template", "chat")
    assert answer.exit_code == 2
    assert "has no chat template" in answer.stderr


def test_a_limit_larger_than_the_suite_is_refused(sequela: Sequela, world_folder: Path) -> None:
    answer = sequela("evaluate", world_folder, "--suite", "builtin", "--limit", "1000")
    assert answer.exit_code == 2
    assert "the limit is 1000" in answer.stderr


def test_refusal_is_a_suite_like_others(sequela: Sequela, world_folder: Path) -> None:
    answer = sequela("evaluate", world_folder, "--suite", "refusal", "--limit", "2", "--json")
    assert answer.exit_code == 0
    assert [(one["task"], one["metric"], one["n"]) for one in answer.json] == [
        ("refusal_harmful", "declined", 2),
        ("refusal_harmless", "helped", 2),
    ]


def test_a_missing_task_file_is_named(sequela: Sequela, world_folder: Path) -> None:
    answer = sequela("evaluate", world_folder, "--suite", "nowhere.yaml")
    assert answer.exit_code == 2
    assert "The task file nowhere.yaml can't be read" in answer.stderr
