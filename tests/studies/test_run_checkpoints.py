"""Checkpoints in the folder of a run: links to the store's files where there can be links."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

from sequela.editors.storage import DELTA, DESCRIPTION
from sequela.studies.checkpoints import checkpoint_folder
from sequela.studies.run_checkpoints import keep_checkpoint
from support.runs import checkpoint_files


@pytest.fixture
def stored(finished: Path) -> tuple[Path, str, int]:
    """A checkpoint of a run: its folder, its trajectory and its number of edits."""
    folder = next(path.parent for path in sorted(finished.rglob(DELTA)))
    return folder, folder.parent.name, int(folder.name)


def test_its_files_are_links_which_outlive_the_object(stored: tuple[Path, str, int], tmp_path: Path) -> None:
    stored_folder, trajectory, n_edits = stored
    copied = shutil.copytree(stored_folder, tmp_path / "object")
    keep_checkpoint(tmp_path / "run", copied, trajectory, n_edits)
    folder = checkpoint_folder(tmp_path / "run", trajectory, n_edits)
    assert {path.name for path in folder.iterdir()} == {path.name for path in copied.iterdir()}
    assert all(path.samefile(copied / path.name) for path in folder.iterdir())
    kept = checkpoint_files(folder)
    shutil.rmtree(copied)
    assert checkpoint_files(folder) == kept
    assert kept


def test_they_are_copied_where_links_are_refused(
    stored: tuple[Path, str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*paths: object) -> NoReturn:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refused)
    stored_folder, trajectory, n_edits = stored
    keep_checkpoint(tmp_path / "run", stored_folder, trajectory, n_edits)
    folder = checkpoint_folder(tmp_path / "run", trajectory, n_edits)
    assert checkpoint_files(folder) == checkpoint_files(stored_folder)


def test_one_that_is_incomplete_is_replaced_and_a_whole_one_stays(
    stored: tuple[Path, str, int], tmp_path: Path
) -> None:
    stored_folder, trajectory, n_edits = stored
    keep_checkpoint(tmp_path / "run", stored_folder, trajectory, n_edits)
    folder = checkpoint_folder(tmp_path / "run", trajectory, n_edits)
    (folder / "note.txt").write_text("mine")
    keep_checkpoint(tmp_path / "run", stored_folder, trajectory, n_edits)
    assert (folder / "note.txt").is_file()
    (folder / DESCRIPTION).unlink()
    keep_checkpoint(tmp_path / "run", stored_folder, trajectory, n_edits)
    assert not (folder / "note.txt").exists()
    assert checkpoint_files(folder) == checkpoint_files(stored_folder)


def test_the_unedited_model_has_no_checkpoint(stored: tuple[Path, str, int], tmp_path: Path) -> None:
    stored_folder, trajectory, _ = stored
    keep_checkpoint(tmp_path / "run", stored_folder, trajectory, 0)
    assert not (tmp_path / "run").exists()
