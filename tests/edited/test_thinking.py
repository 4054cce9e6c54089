"""The marks of thoughts, and where an answer begins."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequela.edited.thinking import Thinking, closing, left_open, marks_in, start_of

THINK = Thinking("<think>", "</think>", opened=False, max_tokens=9)
OPENED = Thinking("<think>", "</think>", opened=True, max_tokens=9)
FINAL = Thinking("", "FINAL:", opened=True, max_tokens=9)


def answer(thinking: Thinking, text: str) -> str | None:
    start = thinking.answer_start(text)
    return None if start is None else text[start:]


@pytest.mark.parametrize(
    ("thinking", "text", "expected"),
    [
        (THINK, "<think>The answer is A? No.</think>\n\nB", "B"),
        (THINK, "B", "B"),
        (THINK, "\nB", "\nB"),
        (THINK, "<think>", None),
        (THINK, "\n<think>The answer is A", None),
        (THINK, "The answer is A.<think>Or is it", None),
        (THINK, "<think>a</think>B<think>c</think> D", "D"),
        (THINK, "<think>a</think>B<think>c", None),
        (THINK, "a</think>B", "B"),  # the first mark is missing: what stands before the last is thinking
        (THINK, "<think>a</think>", ""),
        (THINK, "a < b and <thin", "a < b and <thin"),
        (OPENED, "The answer is A? No.</think>\n\nB", "B"),
        (OPENED, "The answer is A", None),
        (OPENED, "", None),
        (OPENED, "<think>a</think>B", "B"),
        (FINAL, "A? No. FINAL: B", "B"),
        (FINAL, "A? No.", None),
    ],
)
def test_an_answer_begins_after_the_thinking(thinking: Thinking, text: str, expected: str | None) -> None:
    assert answer(thinking, text) == expected


PIECES = st.lists(st.sampled_from(["<think>", "</think>", "A", "\n", "<", "think"]), max_size=8).map("".join)


@given(text=PIECES)
def test_no_thinking_is_a_part_of_an_answer(text: str) -> None:
    found = answer(THINK, text)
    if found is not None:
        assert "<think>" not in found
        assert "</think>" not in found
        assert text.endswith(found)
    assert (found is None) == (text.rfind("<think>") > text.rfind("</think>"))


@pytest.mark.parametrize(
    ("source", "marks"),
    [
        ("{{ m.content.split('</think>')[-1] }}<think>", ("<think>", "</think>")),
        ("{% if x %}</think>{% endif %}", ("<think>", "</think>")),
        ("[THINK]{{ x }}[/THINK]", ("[THINK]", "[/THINK]")),
        ("<seed:think>{{ x }}</seed:think>", ("<seed:think>", "</seed:think>")),
        ("<|START_THINKING|>{{ x }}<|END_THINKING|>", ("<|START_THINKING|>", "<|END_THINKING|>")),
        ("<|begin_of_thought|>{{ x }}<|end_of_thought|>", ("<|begin_of_thought|>", "<|end_of_thought|>")),
        ("◁think▷{{ x }}◁/think▷", ("◁think▷", "◁/think▷")),
        (
            "<|channel|>analysis<|message|>{{ x }}<|channel|>final<|message|>",
            ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),
        ),
        ("{{ messages['reasoning_content'] }}<|im_end|></s>[/INST]", None),
        ("<think>{{ x }}", None),  # nothing says how a thought ends
        ("{% if messages[0]['content'] > 3 and enable_thinking %}", None),
    ],
)
def test_a_template_mentions_its_marks(source: str, marks: tuple[str, str] | None) -> None:
    assert marks_in(source) == marks


def test_a_given_mark_needs_no_template_that_mentions_it() -> None:
    assert start_of("</thought>", "") == "<thought>"
    assert start_of("<|END|>", "<|START|>") == "<|START|>"
    assert start_of("<|END|>", "") == ""
    assert start_of("Final answer:", "") == ""


@pytest.mark.parametrize(
    ("asked", "is_open"),
    [("<a>\n", False), ("<a>\n<think>\n", True), ("<a>\n<think>\n\n</think>\n\n", False)],
)
def test_a_prompt_leaves_a_thought_open_or_not(asked: str, is_open: bool) -> None:
    assert left_open(asked, "<think>", "</think>") is is_open


def test_without_a_first_mark_a_model_thinks_from_the_beginning() -> None:
    assert left_open("<a>\n", "", "FINAL:")
    assert not left_open("<a>\nFINAL:", "", "FINAL:")


def test_an_open_thought_is_closed_as_an_empty_one() -> None:
    assert "<think>\n" + closing("<a>\n<think>\n", "<think>", "</think>") == "<think>\n\n</think>\n\n"
    assert "<think>" + closing("<a>\n<think>", "<think>", "</think>") == "<think>\n\n</think>\n\n"
    assert closing("<a>\n", "", "FINAL:") == "FINAL:"
