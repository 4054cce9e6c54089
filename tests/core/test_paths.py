"""Paths that a user writes."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from sequela.core.errors import CantWriteError, SequelaError
from sequela.core.paths import (
    cache_folder,
    data_folder,
    ensure_writable,
    ensure_writable_file,
    replacing,
    user_path,
)


def test_a_path_begins_at_home_if_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_path("~/x") == tmp_path / "x"
    assert user_path("x/~y") == Path("x/~y")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("~nobody-at-all/x", "there is no home folder of '~nobody-at-all'"),
        ("a\0b", "is not a path: it has a NUL character"),
        ("a\ud83db", "is not a path: it has half of a surrogate pair"),
        ("a" * 5000, "can't be used: File name too long"),
    ],
)
def test_a_text_that_is_no_path_is_an_error_wherever_it_stands(
    text: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SequelaError, match=message) as caught:
        user_path(text)
    assert len(caught.value.message) < 200
    if "\0" in text or "\ud83d" in text:  # the environment can't hold these
        return
    for variable, folder in (("SEQUELA_CACHE", cache_folder), ("SEQUELA_DATA", data_folder)):
        monkeypatch.setenv(variable, text)
        with pytest.raises(SequelaError, match=message):
            folder()


def test_a_folder_that_is_a_file_or_lies_in_one_is_named_as_the_user_wrote_it(tmp_path: Path) -> None:
    file = tmp_path / "facts.jsonl"
    file.write_text("kept")
    with pytest.raises(SequelaError, match=r"Can't write to \S+facts\.jsonl: it is a file, not a folder"):
        ensure_writable(file)
    with pytest.raises(SequelaError, match=r"Can't write to \S+facts\.jsonl/x: .*directory"):
        ensure_writable(file / "x")
    with pytest.raises(SequelaError, match=r"Can't write to \S+/x: \S+facts\.jsonl is a file, not a folder"):
        ensure_writable(file, path=file / "x")
    assert file.read_text() == "kept"


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(SequelaError, match="it is a folder"):
        ensure_writable_file(tmp_path)
    with pytest.raises(SequelaError, match="File name too long"):
        ensure_writable_file(tmp_path / ("a" * 300))
    ensure_writable_file(tmp_path / "new" / "a.html")
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_a_file_is_on_the_disk_before_it_gets_its_name_and_the_name_before_the_block_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, done = tmp_path / "a.json", list[str]()
    monkeypatch.setattr(
        "sequela.core.paths.sync_file", lambda file: done.append(f"{file.read_text()}, {path.exists()}")
    )
    monkeypatch.setattr("sequela.core.paths.sync_folder", lambda _: done.append(f"folder, {path.exists()}"))
    with replacing(path) as temporary:
        assert temporary.suffix == ".json"
        temporary.write_text("new")
    assert done == ["new, False", "folder, True"]


def test_a_file_that_fails_half_way_leaves_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / ("a" * 200 + "." + "b" * 50)  # as long as a name may be
    with replacing(path) as temporary:
        temporary.write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(path) as temporary:
        temporary.write_text(f"{1 / 0}")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("number", "advice"),
    [(errno.ENOSPC, "Free some space"), (errno.EROFS, "Choose a place that you can write")],
)
def test_a_system_that_refuses_to_write_is_an_error_that_names_the_file(
    tmp_path: Path, number: int, advice: str
) -> None:
    path = tmp_path / "a.json"
    with pytest.raises(CantWriteError) as caught, replacing(path):
        raise OSError(number, os.strerror(number))
    assert caught.value.message == f"Can't write {path}: {os.strerror(number)}."
    assert caught.value.hint is not None
    assert caught.value.hint.startswith(advice)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_a_file_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("kept")
    with (
        pytest.raises(CantWriteError, match=r"Can't write \S+/a/b\.json: "),
        replacing(tmp_path / "a" / "b.json"),
    ):
        pass
    assert (tmp_path / "a").read_text() == "kept"


def test_a_new_file_can_be_read_by_whom_the_user_lets_read_new_files(tmp_path: Path) -> None:
    plain, replaced = tmp_path / "plain", tmp_path / "replaced"
    plain.write_text("")
    with replacing(replaced) as temporary:
        temporary.write_text("")
    assert replaced.stat().st_mode == plain.stat().st_mode
