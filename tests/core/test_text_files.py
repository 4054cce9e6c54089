from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from sequela.core.errors import BadInputError
from sequela.core.text_files import open_text, read_json, read_json_lines, read_text


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize("name", ["facts.jsonl", "facts.jsonl.gz"])
class TestBothForms:
    def test_lines_of_json_are_numbered_and_empty_ones_skipped(self, tmp_path: Path, name: str) -> None:
        path = write(tmp_path / name, '\ufeff{"a": 1}\n\n"ü\u2028b"\r\n[2]'.encode())
        assert list(read_json_lines(path)) == [(1, {"a": 1}), (3, "ü\u2028b"), (4, [2])]

    def test_a_line_that_is_not_json_is_named(self, tmp_path: Path, name: str) -> None:
        path = write(tmp_path / name, b'{"a": 1}\n{"a": \n')
        with pytest.raises(BadInputError, match=rf"{name}, line 2: not JSON"):
            list(read_json_lines(path))

    def test_text_that_is_not_utf_8_is_an_error(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(BadInputError, match="is not UTF-8 text"):
            read_text(write(tmp_path / name, b"\xff\xfe\xff"))

    def test_a_missing_file_is_named_once(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(BadInputError) as caught:
            read_text(tmp_path / name)
        assert str(caught.value) == f"{tmp_path / name} can't be read: No such file or directory."


def test_a_truncated_archive_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "facts.txt.gz"
    path.write_bytes(gzip.compress(b"words " * 100)[:-9])
    with pytest.raises(BadInputError, match=r"facts\.txt\.gz can't be read"):
        read_text(path)


def test_other_errors_in_the_block_pass_through(tmp_path: Path) -> None:
    path = write(tmp_path / "words.txt", b"words")

    def fail_inside() -> None:
        with open_text(path):
            raise KeyError

    with pytest.raises(KeyError):
        fail_inside()


def test_a_json_file_that_is_not_json_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="is not JSON") as caught:
        read_json(write(tmp_path / "facts.json", b"{}\n{}"))
    assert ".jsonl" in (caught.value.hint or "")
    assert read_json(write(tmp_path / "facts.json", b"[1]")) == [1]
