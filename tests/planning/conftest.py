"""Small studies on the trained world model, to be estimated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sequela.studies import Study
from support.studies import study_maker, write_edits
from support.world import World


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQUELA_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def _edits_file(tmp_path_factory: pytest.TempPathFactory, world: World) -> Path:
    return write_edits(tmp_path_factory.mktemp("edits") / "facts.jsonl", world, 4)


@pytest.fixture(scope="session")
def make_study(world_folder: Path, _edits_file: Path) -> Callable[..., Study]:
    """Makes the small study; keyword arguments are keys of the study file that are to differ."""
    return study_maker(world_folder, _edits_file)
