"""A small study on the trained world model, and one finished run of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sequela.edited import EditedModel
from sequela.editors.session import EditSession
from sequela.evaluation.suites.builtin import BuiltinSuite
from sequela.studies import Study, run_study
from support.forked import Source, forking
from support.studies import study_maker, write_edits
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
    return study_maker(world_folder, _edits_file)


@pytest.fixture(scope="session")
def finished(make_study: Callable[..., Study], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of the small study that nothing interrupted; for reading only."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQUELA_CACHE", str(folder.parent / "cache"))
        run_study(make_study(), folder)
    return folder


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts the batches that a method applies, and the evaluations of unedited and edited models."""
    counts: Counter[str] = Counter()
    apply_batch, evaluate = EditSession.apply_batch, BuiltinSuite.evaluate

    def counted_batch(self: EditSession, *args: Any) -> Any:
        counts[self.editor.name] += 1
        return apply_batch(self, *args)

    def counted_evaluation(self: BuiltinSuite, model: EditedModel, *args: Any) -> Any:
        counts["edited" if model.n_changes else "unedited"] += 1
        return evaluate(self, model, *args)

    monkeypatch.setattr(EditSession, "apply_batch", counted_batch)
    monkeypatch.setattr(BuiltinSuite, "evaluate", counted_evaluation)
    return counts


@pytest.fixture(scope="module")
def source() -> Iterator[Source]:
    """Starts commands as processes of their own, without waiting for their imports."""
    with forking() as found:
        yield found
