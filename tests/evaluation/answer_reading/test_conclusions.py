"""The statement of a letter that stands for a text's final answer."""

from __future__ import annotations

import pytest

from sequela.evaluation.answer_reading.letters import chosen_letter, first_letter

CHOICES = ("oak", "elm", "fir", "yew")

STANDS = r"""
The correct answer is option B: elm. Oak (option A) grows in the park.
The correct answer is option B (elm). Option C (fir) is wrong because it keeps its needles.
The answer is B, elm. Fir, option C, is a conifer.
The answer is B. Fir (C) is a conifer; yew (D) is poisonous.
The answer is B. Fir is wrong.
The answer is B. Option D, by contrast, is poisonous.
The answer is B (see also option D).
The answer is B; yew (option D) is poisonous.
The answer is B, as yew (option D) is poisonous.
The answer is B: it loses its leaves, while fir (option C) keeps them.
I choose B. Oak (option A) has acorns.
It's B. Oak (option A) has acorns.
Option B is correct. Yew (option D) is poisonous.
So the answer is B. Oak corresponds to option A.
So the answer is B. Oak would be option A.
So the answer is B. Unlike in option A, the leaves are rough.
So the answer is B. The tree in option D is poisonous.
The answer is B. If the tree had acorns, the answer would be A.
The answer is B. Had the leaves been needles, it would have been C.
The answer is B. Were it a conifer, the answer would be C.
The answer is B. For conifers, the answer is C.
The answer is B. In the mountains, it would be C.
The answer is B. Otherwise, it would be A.
The answer is B, but for conifers the answer would be C.
The answer is B; for conifers it's C.
The answer is B. In the previous question, the answer was A.
The answer is B. Initially I chose A.
The answer is B; the answer for conifers is C.
The answer is B. The second best is A.
The answer is B. The next best choice is A.
The answer is B. The previous answer is C.
The answer is B. The most common wrong answer is D.
The answer is B. My first guess was D.
The answer is B. D is the answer to another question.
The answer is B. The answer to the next question is D.
The answer is B. It might seem that the answer is A.
The answer is B. You might think it is A.
The answer is B. Visitors often choose A.
The answer is B. If you picked option D, look at the leaves.
Option B is correct. D is correct for conifers.
B. elm. Yew (option D) is poisonous.
B\n\nYew (option D) is poisonous.
The answer is B.\n\nOption A: oak has acorns.\nOption C: fir has cones.\nOption D: yew is poisonous.
**Answer: B**\n\n- Option A (oak) is wrong: it has acorns.\n- Option C has cones.\n- Option D is poisonous.
Option A has acorns. Option C has cones. The answer is B.
Option A is plausible. The answer is B.
The answer is A. Wait, the answer is B.
The answer is A. Let me check again. Elms have rough leaves. The answer is B.
The answer is A... So the answer is B.
The answer is A. No, I choose option B.
The answer is A. Actually, option B.
The answer is A. For this reason, so is the leaf; therefore the final answer is B.
"""

LEFT_OPEN = r"""
The answer is B. The answer is D.
Answer: B\nAnswer: D
I choose B. I choose D.
B is correct. D is correct.
The answer is B. It is D.
The answer is B. Or is it D?
The answer is B. It could also be D.
The answer is B or D.
The answer is B. That is wrong.
The answer is B. I don't think it's B.
The answer is B. Wait. Option D is poisonous.
"""


def _lines(block: str) -> list[str]:
    return [line.replace(r"\n", "\n") for line in block.strip().splitlines()]


@pytest.mark.parametrize("text", _lines(STANDS))
def test_a_stated_letter_stands_beside_other_options(text: str) -> None:
    assert chosen_letter(text, CHOICES) == "B"


@pytest.mark.parametrize("text", _lines(LEFT_OPEN))
def test_two_statements_or_a_doubt_leave_no_letter(text: str) -> None:
    assert chosen_letter(text, CHOICES) is None


@pytest.mark.parametrize("letter", "ABCD")
def test_no_letter_is_favored_by_the_rules(letter: str) -> None:
    other = "ABCD"[("ABCD".index(letter) + 1) % 4]
    text = (
        f"The answer is {letter}. The tree in option {other} differs, and for conifers it would be {other}."
    )
    assert chosen_letter(text, CHOICES) == letter


def test_the_strict_reading_is_as_before() -> None:
    assert first_letter("B (see also option D)", CHOICES) is None
    assert first_letter("B best describes it", CHOICES) is None
