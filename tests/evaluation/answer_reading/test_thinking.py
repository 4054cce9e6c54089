"""Removal of a reasoning model's thinking."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequela.evaluation.answer_reading.thinking import without_thinking


@pytest.mark.parametrize(
    ("text", "ends", "left"),
    [
        ("C", (), "C"),
        ("<think>Is it A? I doubt it.</think>\n\nC", (), "\n\nC"),
        ("Is it A? I doubt it.</think>C", (), "C"),  # the prompt has opened the thinking
        ("<think>A</think><think>B</think>C", (), "C"),
        ("<THINK>A</THINK>C", (), "C"),
        ("<think>It may be A", (), ""),
        ("<think>A</think>C. <think>Or B", (), ""),
        ("[THINK]A[/THINK]C", ("[/THINK]",), "C"),
        ("[THINK]A", ("[/THINK]",), ""),
        ("A<|end_of_thought|>C", ("<|end_of_thought|>",), "C"),
        ("<think>A</think><reasoning>B</reasoning>C", ("</think>", "</reasoning>"), "C"),
        ("<thinking>A</thinking>C", (), "C"),
        ("<seed:think>A</seed:think>C", (), "C"),
        ("◁think▷A◁/think▷C", (), "C"),
        ("<reasoning>It may be A", (), ""),
        ("<think>A</think>C\n\n<think>", (), "C\n\n"),  # no thought begins
        ("<think>\n", (), ""),
        ("<|begin_of_thought|>A<|end_of_thought|>C", (), "C"),
        ("<|begin_of_thought|>It may be A", (), ""),
        ("<scratchpad>A</scratchpad>C", (), "C"),
        ("", (), ""),
    ],
)
def test_the_text_behind_the_thinking_remains(text: str, ends: tuple[str, ...], left: str) -> None:
    assert without_thinking(text, *ends) == left


@given(st.text(alphabet="ABx \n", max_size=20), st.text(alphabet="ABx \n", max_size=20))
def test_nothing_of_the_thinking_remains(thinking: str, answer: str) -> None:
    assert without_thinking(f"<think>{thinking}</think>{answer}") == answer
    assert without_thinking(f"<think>{thinking}") == ""
