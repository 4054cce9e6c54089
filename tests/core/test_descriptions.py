"""Documents with a digest: whatever was changed is told, and earlier documents are read."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from sequela.core.descriptions import read_description_of, write_description
from sequela.core.errors import BadInputError, IntegrityError, SequelaError
from support.mutations import damage


class Note(BaseModel):
    """A description with values of every kind that JSON has, and numbers that it hasn't."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    title: str = "Münster, 東京 and \x00"
    numbers: tuple[float, ...] = (1.5, 1e-300, float("inf"), -0.0)
    others: dict[str, Any] = {"a": None, "b": [True, 2**70], "c": {"é": ""}}


def test_a_document_says_how_its_digest_is_made(tmp_path: Path) -> None:
    write_description(tmp_path / "note.json", Note())
    text = (tmp_path / "note.json").read_text(encoding="utf-8")
    assert "Münster, 東京" in text  # a person can read it
    content = json.loads(text)
    found = content.pop("digest")
    plain = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    assert found == "sha256:" + hashlib.sha256(plain.encode("ascii")).hexdigest()
    assert read_description_of(tmp_path / "note.json", Note, "note") == Note()


def test_a_document_without_a_digest_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "note.json"
    path.write_text(Note(title="earlier").model_dump_json())
    assert read_description_of(path, Note, "note").title == "earlier"


def test_spaces_and_the_order_of_fields_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "note.json"
    write_description(path, Note())
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(dict(reversed(content.items()))))
    assert read_description_of(path, Note, "note") == Note()


def test_a_changed_document_is_named_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "note.json"
    write_description(path, Note(title="true"))
    path.write_text(path.read_text(encoding="utf-8").replace("true", "trud", 1), encoding="utf-8")
    with pytest.raises(IntegrityError) as caught:
        read_description_of(path, Note, "note", hint="Ask again.")
    assert caught.value.message == f"{path} was changed after it was written: its digest differs."
    assert caught.value.hint == "Ask again. If you changed the file yourself, remove its field `digest`."


def test_a_missing_document(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"holds no note: note\.json is missing"):
        read_description_of(tmp_path / "note.json", Note, "note")


@given(seed=st.integers(0, 2**32))
def test_a_damaged_document_is_told_or_harmless(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "note.json"
    if not path.exists():
        write_description(path, Note())
    whole = path.read_bytes()
    path.write_bytes(damage(whole, random.Random(seed)))
    found = ""
    try:
        assert read_description_of(path, Note, "note") == Note()
    except SequelaError as error:
        found = str(error)
    path.write_bytes(whole)
    assert not found or found.startswith(f"{path} ")
