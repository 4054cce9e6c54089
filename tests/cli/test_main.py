"""The program itself: its version, its help, and misspelled commands."""

from __future__ import annotations

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
