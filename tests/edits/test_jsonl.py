from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from sequela.core.errors import BadInputError, SequelaError
from sequela.edits import Edit, edit_schema, example_line, load_edits


def fact(**changes: Any) -> dict[str, Any]:
    record = {"id": "a", "subject": "Kiruna", "prompt": "The mine in {} digs for", "target_new": "gold"}
    return record | changes


@pytest.mark.parametrize("prefix", ["", "jsonl:"])
@pytest.mark.parametrize("name", ["facts.jsonl", "facts.json"])
def test_own_file_by_its_name(write_records, prefix, name):
    path = write_records([fact(), fact(id="b")], name)
    edits = load_edits(f"{prefix}{path}")
    assert [edit.id for edit in edits] == ["a", "b"]
    assert edits.name == name
    assert edits[0].question == "The mine in Kiruna digs for"


def test_own_file_by_its_path(write_records):
    assert len(load_edits("jsonl", write_records([fact()], "facts.jsonl"))) == 1


def test_content_hash_does_not_depend_on_the_file_name(write_records):
    one = load_edits(str(write_records([fact()], "one.jsonl")))
    two = load_edits(str(write_records([fact()], "two.json")))
    assert one.content_hash == two.content_hash


def test_gzipped_file_with_line_separators_and_blank_lines(tmp_path: Path):
    path = tmp_path / "facts.jsonl.gz"
    lines = [json.dumps(fact(subject="Ki\u2028runa"), ensure_ascii=False), "", json.dumps(fact(id="b"))]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    edits = load_edits(str(path))
    assert edits[0].subject == "Ki\u2028runa"
    assert len(edits) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompt": "The mine in Kiruna digs for"}, "has no {} for the subject 'Kiruna'"),
        ({"target_new": " "}, "the field 'target_new' is empty"),
        ({"subject": ""}, "the field 'subject'"),
        ({"target": "gold"}, "the field 'target' is unknown"),
        ({"neighborhood": [{"answer": "iron"}]}, "the field 'neighborhood.1.prompt' is missing"),
        ({"id": " "}, "the field 'id' is empty"),
        ({"target_true": ""}, "the field 'target_true' is empty"),
        ({"target_true": " "}, "the field 'target_true' is empty"),
        ({"neighborhood": [{"prompt": "p", "answer": ""}]}, "the field 'neighborhood.1.answer' is empty"),
        ({"portability": [{"prompt": "p", "answer": " "}]}, "the field 'portability.1.answer' is empty"),
        ({"id": 3}, "the field 'id': expected a text"),
    ],
)
def test_invalid_line_is_named_by_file_and_number(write_records, changes, message):
    path = write_records([fact(), fact(id="b") | changes], "facts.jsonl")
    with pytest.raises(BadInputError) as caught:
        load_edits(str(path))
    assert f"{path}, record 2: " in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize("field", ["id", "prompt", "target_new"])
def test_missing_field(write_records, field):
    record = fact()
    del record[field]
    with pytest.raises(BadInputError, match=rf"facts\.jsonl, record 1: the field '{field}' is missing"):
        load_edits(str(write_records([record], "facts.jsonl")))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("facts.jsonl", json.dumps(fact()) + "\n{oops", "line 2: not JSON"),
        ("facts.jsonl", "[1]", "record 1: expected an object with fields, found a list"),
        ("facts.jsonl", "\n", "has no records"),
        ("facts.json", "[]", "has no records"),
        ("facts.json", "{oops", "is not JSON"),
        ("facts.json", "{}", "expected a list of records, found an object"),
    ],
)
def test_file_with_other_content(tmp_path: Path, name: str, text: str, message: str):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(BadInputError, match=message):
        load_edits(str(path))


def test_unreadable_files(tmp_path: Path):
    with pytest.raises(BadInputError, match="be read"):
        load_edits(str(tmp_path / "absent.jsonl"))
    (tmp_path / "latin.jsonl").write_bytes(b'{"id": "\xe9"}')
    with pytest.raises(BadInputError, match="not UTF-8"):
        load_edits(str(tmp_path / "latin.jsonl"))
    (tmp_path / "cut.json.gz").write_bytes(gzip.compress(b"[" * 1000)[:-9])
    with pytest.raises(BadInputError, match="be read"):
        load_edits(str(tmp_path / "cut.json.gz"))
    (tmp_path / "damaged.json.gz").write_bytes(gzip.compress(b"")[:10] + b"\xff" * 20)
    with pytest.raises(BadInputError, match="be read"):
        load_edits(str(tmp_path / "damaged.json.gz"))


def test_source_jsonl_needs_a_file():
    with pytest.raises(SequelaError, match="no file was given"):
        load_edits("jsonl")


def test_a_fact_may_have_no_subject(write_records):
    bare = {"id": "a", "prompt": "The mine in Falun digs for", "target_new": "gold"}
    (edit,) = load_edits(str(write_records([bare], "facts.jsonl")))
    assert edit.subject is None
    assert edit.question == bare["prompt"]
    with pytest.raises(BadInputError, match="no subject is given"):
        load_edits(str(write_records([{**bare, "prompt": "The mine in {} digs for"}], "facts.jsonl")))


def test_schema_and_example_agree(tmp_path: Path):
    assert set(edit_schema()["required"]) == {"id", "prompt", "target_new"}
    assert set(json.loads(example_line())) <= set(edit_schema()["properties"])
    path = tmp_path / "example.jsonl"
    path.write_text(example_line())
    (edit,) = load_edits(str(path))
    assert isinstance(edit, Edit)
    assert edit.paraphrases
    assert edit.neighborhood
    assert edit.portability
