"""The program itself: its version, its help, and misspelled commands."""

from __future__ import annotations

import pytest

from sequela import __version__
from support.commands import Sequela


def test_the_version_is_printed_without_a_command(sequela: Sequela) -> None:
    answer = sequela("--version")
    assert answer.exit_code == 0
    assert answer.stdout == f"sequela {__version__}\n"


def test_without_a_command_the_help_is_shown(sequela: Sequela) -> None:
    answer = sequela()
    assert "Usage: sequela" in answer.stdout
    assert "train-editor" in answer.stdout


def test_a_misspelled_command_is_rejected_with_the_nearest_match(sequela: Sequela) -> None:
    answer = sequela("rum")
    assert answer.exit_code == 2
    assert "Did you mean 'run'?" in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (("show", "world", "--edits", "builtin", "--answer", "a\udcff"), "--answer"),
        (
            ("show", "world", "--suite", "builtin", "--template", "chat", "--think-end-token", "\udcff"),
            "--think",
        ),
        (
            ("evaluate", "world", "--template", "chat", "--chat-template-args", "a=\udcff"),
            "--chat-template-args",
        ),
        (("edit", "--prompt", "{} is\udc80", "--subject", "Bo", "--target", "b"), "--prompt"),
        (("edit", "--prompt", "{} is", "--subject", "\udcff", "--target", "b"), "--subject"),
        (("edit", "--prompt", "Bo is", "--target", "\udcff"), "--target"),
        (("tasks", "\udcff"), "name"),
        (("train-editor", "mend", "--edits", "\udcff"), "--edits"),
    ],
)
def test_a_byte_that_is_not_utf_8_is_named_by_its_option(
    sequela: Sequela, arguments: tuple[str, ...], option: str
) -> None:
    answer = sequela(*arguments)
    assert answer.exit_code == 2
    assert f"Error: {option}" in answer.stderr
    assert "has a byte that is not UTF-8" in " ".join(answer.stderr.split())
