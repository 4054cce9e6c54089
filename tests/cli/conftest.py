"""The commands, run in this process as a shell would run them."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from sequela.cli.main import app
from sequela.studies import Study, run_study
from support.commands import Answer, Sequela
from support.studies import small_study, write_edits, write_study
from support.world import World


@pytest.fixture
def sequela(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sequela:
    """Runs a command in an empty folder with an empty cache."""
    monkeypatch.setenv("SEQUELA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("SEQUELA_DATA", raising=False)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Answer:
        words = [str(argument) for argument in arguments]
        result = CliRunner().invoke(app, words, prog_name="sequela", catch_exceptions=False)
        return Answer(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture(scope="session")
def edits_file(tmp_path_factory: pytest.TempPathFactory, world: World) -> Path:
    """Two facts of the world to be changed, in a file of the user's own."""
    return write_edits(tmp_path_factory.mktemp("edits") / "facts.jsonl", world, 2)


@pytest.fixture(scope="session")
def study_file(tmp_path_factory: pytest.TempPathFactory, world_folder: Path, edits_file: Path) -> Path:
    """The small study as a file."""
    path = tmp_path_factory.mktemp("study") / "study.yaml"
    return write_study(path, small_study(world_folder, edits_file))


@pytest.fixture(scope="session")
def finished(world_folder: Path, edits_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run; for reading only."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    content = small_study(world_folder, edits_file, editors=["ft-m"], checkpoints=[0, 1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQUELA_CACHE", str(folder.parent / "cache"))
        run_study(Study.model_validate(content), folder)
    return folder
