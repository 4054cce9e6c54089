"""Runs, stores and caches in folders of any name."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sequela.core.errors import SequelaError
from sequela.results import Status
from sequela.store import open_store
from sequela.studies import Study, run_study
from support.runs import checkpoint_files, measured
from support.tiers import quick_cases

MakeStudy = Callable[..., Study]

EVERYTHING = "a?b %20 #x 'q' \"d\" \n\t 漢é &mode=memory;:*[x]{y}$HOME~%s\\"

NAMES = [
    EVERYTHING, "a?b", "%20", "#", " leading and trailing ", "'", '"', "a\nb", "漢字", "é" * 100, "x" * 255,
    "a::b", "s3:x", "file:x", "-x", "*", "[a]", "a;b", "%", "~", "...", "a\\b", "{}", "%(x)s",
]  # fmt: skip


@pytest.mark.parametrize("name", quick_cases(NAMES, [EVERYTHING]))
def test_a_run_a_store_and_a_cache_may_have_any_name(
    make_study: MakeStudy, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    store, cache, folder = (tmp_path / part / name for part in ("stores", "caches", "runs"))
    shutil.copytree(finished.parent / "cache" / "store", store)
    monkeypatch.setenv("SEQUELA_STORE", str(store))
    monkeypatch.setenv("SEQUELA_CACHE", str(cache))
    n_objects = len(list(open_store().entries()))
    for _ in range(2):
        assert run_study(make_study(), folder).status is Status.COMPLETE
    assert measured(folder) == measured(finished)
    assert checkpoint_files(folder) == checkpoint_files(finished)
    assert len(list(open_store().entries())) == n_objects > 0
    assert not list(open_store().prune(unused=True))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["caches", "runs", "stores"]
    assert [path.name for part in tmp_path.iterdir() for path in part.iterdir()] == [name] * 3


def test_a_name_that_is_not_utf8_is_refused_in_words(make_study: MakeStudy, tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"a\xffb") / "run"
    with pytest.raises(SequelaError, match="half of a surrogate pair"):
        run_study(make_study(), folder)
    assert not folder.parent.exists()


@pytest.mark.parametrize("name", ["x" * 256, "漢" * 86, "x/" * 3000])
def test_a_name_that_is_too_long_is_refused_in_words(
    make_study: MakeStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with pytest.raises(SequelaError, match="File name too long"):
        run_study(make_study(), tmp_path / name)
    monkeypatch.setenv("SEQUELA_STORE", str(tmp_path / name))
    with pytest.raises(SequelaError, match="File name too long"):
        run_study(make_study(), tmp_path / "run")
