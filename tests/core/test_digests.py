"""Digests of documents: the same for equal content, and one rule for both notations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from sequela.core.descriptions import read_description_of, write_description
from sequela.core.digests import DIGEST, digest_holds, digest_of
from sequela.core.errors import IntegrityError
from sequela.store.documents import checked_content, with_digest


@given(
    st.dictionaries(st.text(), st.one_of(st.integers(), st.text(), st.floats(allow_nan=False)), max_size=4)
)
def test_a_digest_is_the_same_after_a_round_through_json(content: dict[str, Any]) -> None:
    again = json.loads(json.dumps(content))
    assert digest_of(again) == digest_of(content)
    assert digest_of({**again, "digest": "x"}) == digest_of(content)


class Note(BaseModel):
    """A description."""

    title: str
    version: int = 1


def in_notation(document: bytes, prefix: str) -> bytes:
    """Returns a document whose digest is written in a notation: with `sha256:` or without."""
    content = json.loads(document)
    digest = content[DIGEST].removeprefix("sha256:")
    return json.dumps({**content, DIGEST: prefix + digest}).encode()


@pytest.mark.parametrize("prefix", ["sha256:", ""])
def test_documents_in_both_notations_are_read_everywhere(prefix: str, tmp_path: Path) -> None:
    assert checked_content(in_notation(with_digest({"title": "ä"}), prefix), "x.json")["title"] == "ä"
    path = tmp_path / "note.json"
    write_description(path, Note(title="ä"))
    path.write_bytes(in_notation(path.read_bytes(), prefix))
    assert read_description_of(path, Note, "note").title == "ä"


@pytest.mark.parametrize("prefix", ["sha256:", "", "sha1:"])
def test_a_changed_document_is_told_in_both_notations(prefix: str, tmp_path: Path) -> None:
    document = in_notation(with_digest({"title": "ä"}), prefix)
    with pytest.raises(IntegrityError, match="its digest is"):
        checked_content(document.replace(b"\\u00e4", b"\\u00e5"), "x.json")
    path = tmp_path / "note.json"
    write_description(path, Note(title="a"))
    path.write_bytes(in_notation(path.read_bytes(), prefix).replace(b'"a"', b'"b"'))
    with pytest.raises(IntegrityError, match="its digest differs"):
        read_description_of(path, Note, "note")


def test_both_kinds_of_documents_have_the_same_notation(tmp_path: Path) -> None:
    write_description(tmp_path / "note.json", Note(title="a"))
    written = json.loads((tmp_path / "note.json").read_bytes())
    assert json.loads(with_digest({"title": "a"})) == written
    assert digest_holds(written)
    assert not digest_holds({"title": "a"})
