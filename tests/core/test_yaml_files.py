"""YAML from outside: what is read as what, and the texts that would keep a reader busy or fill the memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from sequela.core.errors import BadInputError
from sequela.core.yaml_files import MAX_YAML, YamlTagError, parse_yaml, read_yaml


def test_a_document_has_its_values_and_the_lines_of_its_keys() -> None:
    document = parse_yaml("a: &x {b: [1, 2.5, null]}\nc: *x\nd: 'text'\n", "f.yaml")
    assert document.content == {"a": {"b": [1, 2.5, None]}, "c": {"b": [1, 2.5, None]}, "d": "text"}
    assert (document.lines["a", "b", 2], document.lines["c",], document.lines["d",]) == (1, 2, 3)
    assert parse_yaml("", "f.yaml").content is None


def test_a_date_is_a_text_whether_it_exists_or_not() -> None:
    content = parse_yaml("[2024-02-28, 2024-02-31, 2024-02-28 25:61:61]", "f.yaml").content
    assert content == ["2024-02-28", "2024-02-31", "2024-02-28 25:61:61"]


def multiplying(kind: str) -> str:
    start = "a0: &a0 [x, x]\n" if kind == "list" else "a0: &a0 {x: 1}\n"
    lines = [
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n"
        if kind == "list"
        else f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n"
        for n in range(1, 40)
    ]
    return start + "".join(lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (multiplying("list"), "more than 100,000 values, with aliases"),
        (multiplying("merge"), "more than 100,000 values, with aliases"),
        ("a: &a [1, *a]", "line 1: this value contains itself"),
        ("x: 1\na: &a\n  b: {c: *a}", "line 2: this value contains itself"),
        ("&a {<<: *a}", "contains itself"),
        ("[" * 5000, "nests more than 100 levels deep"),
        ("- " * 5000, "nests more than 100 levels deep"),
        ("[" * 101 + "]" * 101, "nests more than 100 levels deep"),
        ("x: 1\n" * (MAX_YAML // 5 + 1), "has more than 262,144 characters"),
        ("a: 1\nb: 2\na: 3", "line 3: the key 'a' is already defined in line 1"),
        ("a: {b: 1, b: 2}", "line 1: the key 'a.b' is already defined in line 1"),
        ("a: !!int abc", "line 1: 'abc' is not a whole number"),
        ("a: !!bool perhaps", "line 1: 'perhaps' is not true or false"),
        ("a: !!float x", "line 1: 'x' is not a number"),
        (f"a: {'9' * 5000}", "line 1: a: a number of more than 63 bits"),
        (f"a: 0x{'f' * 5000}", "line 1: a: a number of more than 63 bits"),
        (f"a: 1{':59' * 3000}", "line 1: a: a number of more than 63 bits"),
        ("a: 9223372036854775808", "line 1: a: a number of more than 63 bits"),
        ("a: .nan", "line 1: the field 'a' is nan"),
        ("a:\n  b: [1, -.inf]", "line 2: the field 'a.b.2' is -inf"),
        ("a: 1.0e+999", "line 1: the field 'a' is inf"),
        ('a: "x\\0"', r"line 1: the field 'a' has a NUL character \(at 2\)"),
        ('a: "\\uD83D"', r"line 1: the field 'a' has half of a surrogate pair, \\ud83d"),
        ("a: [", "line 1: this is not YAML"),
        ("a: 1\n--- b", "this is not YAML"),
        ("a: \x1b", "this is not YAML"),
        ("? [1, 2]\n: 3\n", "this is not YAML|unhashable"),
    ],
)
def test_what_no_reader_could_use_is_an_error_with_its_place(text: str, message: str) -> None:
    with pytest.raises(BadInputError, match=rf"f\.yaml.*({message})") as caught:
        parse_yaml(text, "f.yaml")
    assert len(caught.value.message) < 300


@pytest.mark.parametrize("tag", ["!function a.b", "!!python/name:os.system", "!!binary YQ==", "!!set {a}"])
def test_a_tag_names_nothing(tag: str) -> None:
    with pytest.raises(YamlTagError, match=r"f\.yaml, line 2: the tag .* is not allowed"):
        parse_yaml(f"a: 1\nb: {tag}\n", "f.yaml")


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_bytes("\ufeffa: ü\n".encode())
    assert read_yaml(tmp_path / "f.yaml").content == {"a": "ü"}


def test_the_largest_numbers_that_settings_may_have() -> None:
    content = parse_yaml("[9223372036854775807, -9223372036854775808, 1e999]", "f.yaml").content
    assert content == [2**63 - 1, -(2**63), "1e999"]  # the last is a text in YAML 1.1


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a:\n  b: 1\n c: 2", 3, "the indentation of this line doesn't fit the lines above"),
        ("name: a\nmodels: [x]\n- b", 3, "the indentation of this line doesn't fit the lines above"),
        ("- a\nb: 1", 2, "this line is no item of the list above"),
        ("a: b: c", 1, "a colon stands where no key can be"),
        ("models: [a\nb: 1", 2, r"a list in brackets isn't closed, or lacks a comma \(it begins in line 1\)"),
        ('a: "x\nb: 2', 2, "a text in quotes isn't closed"),
        ("a:\n\tb: 1", 2, "a tab; indent with spaces"),
        ("a: @x", 1, "a character that can't begin a value; put the text in quotes"),
        ("a: *x", 1, r"a `\*` begins a text; put the text in quotes"),
    ],
)
def test_a_text_that_is_not_yaml_is_explained_in_plain_words(text: str, line: int, words: str) -> None:
    with pytest.raises(BadInputError, match=rf"^f\.yaml, line {line}: this is not YAML: {words}") as caught:
        parse_yaml(text, "f.yaml")
    assert not any(word in caught.value.message for word in ("block", "<", "token", "expected"))
