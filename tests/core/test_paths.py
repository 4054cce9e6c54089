"""Paths that a user writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from sequela.core.errors import SequelaError
from sequela.core.paths import (
    cache_folder,
    data_folder,
    ensure_writable,
    ensure_writable_file,
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
