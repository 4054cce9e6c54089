from __future__ import annotations

import gzip
import os
from collections import deque
from collections.abc import Callable
from pathlib import Path

import pytest

from sequela.core.errors import BadInputError
from sequela.core.hashing import hash_json
from sequela.core.text_files import (
    MAX_BLANK_LINES,
    lines_of,
    open_text,
    parse_json,
    read_json,
    read_json_lines,
    read_text,
)


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


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-9], lambda data: data[:200] + b"\0" * 99 + data[299:]]
)
def test_a_damaged_archive_is_named_with_the_last_whole_line(
    damage: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    path = tmp_path / "facts.jsonl.gz"
    lines = "".join(f'{{"a": {hash_json(number)!r}}}\n'.replace("'", '"') for number in range(500))
    path.write_bytes(damage(gzip.compress(lines.encode())))
    with pytest.raises(BadInputError, match=r"facts\.jsonl\.gz: .*cut or damaged behind line \d") as caught:
        list(read_json_lines(path))
    assert "again" in str(caught.value.hint)


def test_compressed_bytes_under_another_name_are_recognized(tmp_path: Path) -> None:
    path = tmp_path / "facts.jsonl"
    path.write_bytes(gzip.compress(b'{"a": 1}\n' * 9))
    for read in (read_text, lambda path: list(read_json_lines(path))):
        with pytest.raises(BadInputError, match=r"is compressed by gzip") as caught:
            read(path)
        assert "facts.jsonl.gz" in str(caught.value.hint)


@pytest.mark.parametrize(("name", "blank"), [("facts.jsonl", " \r\n"), ("facts.jsonl.gz", "\n")])
def test_a_file_of_blank_lines_comes_to_an_end(name: str, blank: str, tmp_path: Path) -> None:
    path = write(tmp_path / name, blank.encode() * (MAX_BLANK_LINES + 2))
    with pytest.raises(BadInputError, match=rf"{name}, line 1000001: more than 1,000,000 empty lines"):
        list(read_json_lines(path))


def test_what_expands_beyond_any_text_comes_to_an_end(tmp_path: Path) -> None:
    path = tmp_path / "facts.jsonl.gz"
    with gzip.open(path, "wt") as stream:
        for _ in range(20):
            stream.write(f'{{"question": "{"Is it so? " * 100}"}}\n' * 1000)
    with (
        pytest.raises(BadInputError, match=r"line \d+: the file expands to more than 200 times its size"),
        open_text(path) as opened,
    ):
        deque(lines_of(opened, path), maxlen=0)


def test_a_named_pipe_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "facts.jsonl"
    os.mkfifo(pipe)
    for read in (read_text, lambda path: list(read_json_lines(path))):
        with pytest.raises(BadInputError, match=r"facts\.jsonl can't be read: it is not a regular file"):
            read(pipe)


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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": {"b": [1, NaN]}}', r"the field 'a\.b\.2' is nan, which is not a finite number"),
        ('{"a": -Infinity}', "the field 'a' is -inf"),
        ('{"a": 1e999}', "the field 'a' is inf"),
        (f'{{"a": {"9" * 5000}}}', "a number has too many digits"),
        (f'{{"a": {"9" * 4200}}}', "the field 'a' is a number of more than 4,000 digits"),
        ('{"a": "x\\u0000y"}', r"the field 'a' has a NUL character \(at 2\)"),
        ('{"a": ["\\ud83d"]}', r"the field 'a\.1' has half of a surrogate pair, \\ud83d \(at 1\)"),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "an object has the field 'c' twice"),
        ("[" * 100_000, "it nests more than 100 levels deep"),
        ("[" * 102 + "]" * 102, r"the field '1\.1\.1…' nests more than 100 levels deep"),
    ],
)
def test_a_value_that_no_program_can_use_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path / "facts.jsonl", f'{{"a": 0}}\n{text}\n'.encode())
    with pytest.raises(BadInputError, match=rf"facts\.jsonl, line 2: {message}") as caught:
        list(read_json_lines(path))
    assert len(caught.value.message) < 300
    with pytest.raises(BadInputError, match=rf"facts\.json: {message}"):
        read_json(write(tmp_path / "facts.json", text.encode()))


def test_whole_pairs_of_surrogates_and_long_numbers_are_fine(tmp_path: Path) -> None:
    path = write(tmp_path / "facts.json", f'["\\ud83d\\ude42", {"9" * 4000}]'.encode())
    assert read_json(path) == ["🙂", int("9" * 4000)]


@pytest.mark.parametrize("name", ["facts.txt", "facts.txt.gz"])
def test_the_line_of_bytes_that_are_not_utf_8_is_named(tmp_path: Path, name: str) -> None:
    content = "eins\nzwei\nfür\n".encode("latin-1")
    with pytest.raises(BadInputError, match=r"line 3 has the byte 0xfc") as caught:
        read_text(write(tmp_path / name, content))
    assert "UTF-8" in (caught.value.hint or "")


def test_a_compressed_file_that_is_too_large_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "facts.txt.gz", b"x" * 1000)
    assert len(read_text(path, limit=1000)) == 1000
    with pytest.raises(BadInputError, match="has more than 999 characters"):
        read_text(path, limit=999)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            '{"id": "1", "x": "y"',
            "a comma or the closing bracket is expected, but the text ends, at character 20",
        ),
        ('{"a": 1\n', "a comma or the closing bracket is expected, but the text ends, at character 7"),
        ('{"a" 1}', "a colon is expected, at character 6"),
        ("{a: 1}", "a name in double quotes is expected, at character 2"),
        ('{"a": 1} x', "it goes on after the end of the value, at character 10"),
        ('{"a": "b', "a text that begins with a double quote has no other one at its end, at character 7"),
        ('{\n"a": 1\n"b": 2}', "a comma or the closing bracket is expected, at line 3, character 1"),
        ("", "a value is expected, but the text ends, at character 1"),
    ],
)
def test_a_text_that_is_not_json_is_explained_with_one_place(text: str, words: str) -> None:
    with pytest.raises(BadInputError) as caught:
        parse_json(text, "f.jsonl, line 3")
    assert caught.value.message == f"f.jsonl, line 3: not JSON: {words}."
