"""The database is in the folder of the run, whatever the folder is called."""

from __future__ import annotations

from pathlib import Path

import pytest

from sequela.results import open_store
from sequela.results.store import DATABASE_NAME


@pytest.mark.parametrize("name", ["a?b", "a%20b", "a b", "a#b", "a&mode=memory", "a;b", "é'\"", ":memory:"])
def test_a_name_with_signs_that_urls_use_is_a_name(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    for create in (True, True, False):
        with open_store(folder, create=create) as store:
            assert store.count_evaluations() == 0
    assert (folder / DATABASE_NAME).is_file()
    assert list(tmp_path.iterdir()) == [folder]
