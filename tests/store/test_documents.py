from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequela.core.errors import BadInputError, IntegrityError
from sequela.store import NewerStoreError
from sequela.store.documents import FORMAT, checked_content, with_digest

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_characters="\0")),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(st.characters(codec="utf-8", exclude_characters="\0")), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(VALUES)
def test_a_document_is_read_back(value: Any) -> None:
    assert checked_content(with_digest({"value": value}), "x.json") == {"version": FORMAT, "value": value}


@given(st.data())
def test_a_changed_byte_is_noticed_or_changes_nothing(data: st.DataObject) -> None:
    document = bytearray(with_digest({"value": [1.5, "ä", None], "name": "x"}))
    position = data.draw(st.integers(0, len(document) - 1))
    document[position] ^= 1 << data.draw(st.integers(0, 7))
    try:
        assert checked_content(bytes(document), "x.json")["value"] == [1.5, "ä", None]
    except IntegrityError as error:
        assert error.message.startswith("x.json")  # noqa: PT017 - either outcome is right


@given(st.integers(0, 100))
def test_a_cut_document_is_noticed(length: int) -> None:
    document = with_digest({"value": [1.5, "ä", None], "name": "x"})
    with pytest.raises(IntegrityError, match=r"x\.json"):
        checked_content(document[:length], "x.json")


def test_a_newer_version_is_named_and_a_damaged_one_is_not_taken_for_it() -> None:
    newer = with_digest({"value": 1, "version": FORMAT + 1})
    with pytest.raises(NewerStoreError, match=r"x\.json has the format version 2; .* reads up to 1"):
        checked_content(newer, "x.json")
    damaged = json.loads(with_digest({"value": 1}))
    with pytest.raises(IntegrityError, match="its digest is"):
        checked_content(json.dumps({**damaged, "version": FORMAT + 1}).encode(), "x.json")


@pytest.mark.parametrize(
    "text", ["[1]", "null", "", "{", '{"a": 1e999}', "[" * 100_000, '{"version": 1}', "\x00"]
)
def test_other_texts_are_damaged_documents(text: str) -> None:
    with pytest.raises(IntegrityError, match=r"x\.json is damaged"):
        checked_content(text.encode(), "x.json")


def test_what_json_cannot_hold_is_refused() -> None:
    with pytest.raises(BadInputError, match="half of a surrogate pair"):
        with_digest({"name": "\ud800"})
