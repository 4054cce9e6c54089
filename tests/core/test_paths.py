"""Paths that a user writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from sequela.core.errors import SequelaError
from sequela.core.paths import cache_folder, data_folder, user_path


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
