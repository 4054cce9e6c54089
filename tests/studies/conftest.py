"""A small study on the trained world model, and one finished run of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sequela.studies import Study, run_study
from support.studies import small_study, write_edits
from support.world import World


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQUELA_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def _edits_file(tmp_path_factory: pytest.TempPathFactory, world: World) -> Path:
    return write_edits(tmp_path_factory.mktemp("edits") / "facts.jsonl", world, 2)


@pytest.fixture(scope="session")
def make_study(world_folder: Path, _edits_file: Path) -> Callable[..., Study]:
    """Makes the small study; keyword arguments are keys of the study file that are to differ."""

    def make(**changes: object) -> Study:
        return Study.model_validate(small_study(world_folder, _edits_file, **changes))

    return make


@pytest.fixture(scope="session")
def finished(make_study: Callable[..., Study], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of the small study that nothing interrupted; for reading only."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQUELA_CACHE", str(folder.parent / "cache"))
        run_study(make_study(), folder)
    return folder
