"""Texts that are shown: nothing in them steers a terminal or a page."""

from __future__ import annotations

import json
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from sequela.core.visible_text import is_blank, visible, visible_in_json


def test_characters_that_steer_a_terminal_are_written_out() -> None:
    assert visible("a\x1b[2Jb") == r"a\x1b[2Jb"
    assert visible("\x9b31m\x07\r\0\x7f") == r"\x9b31m\x07\x0d\x00\x7f"
    assert visible("\u202egpj.exe\u2066") == r"\u202egpj.exe\u2066"
    assert visible("\ud83d") == r"\ud83d"
    assert visible("tab\tline\nü 日本語 🙂 …") == "tab\tline\nü 日本語 🙂 …"


@given(st.text(st.characters(codec=None)))
def test_what_is_shown_can_be_encoded_and_has_no_control_characters(text: str) -> None:
    shown = visible(text)
    shown.encode("utf-8")
    assert not [one for one in shown if unicodedata.category(one) == "Cc" and one not in "\t\n"]


@given(st.text(st.characters(codec=None)))
def test_json_keeps_its_value(text: str) -> None:
    shown = visible_in_json(json.dumps({"a": text}, ensure_ascii=False))
    assert json.loads(shown) == {"a": text}
    assert not [one for one in shown if unicodedata.category(one) == "Cc"]
    shown.encode("utf-8")


def test_a_text_without_a_visible_character_is_blank() -> None:
    for blank in ("", " \n\t", "\u200b", "\u200d\ufeff", "\u0301", "\u3000", "\0"):
        assert is_blank(blank)
    for text in ("a", "\u200ba", ".", "é", "日", "🙂"):
        assert not is_blank(text)
