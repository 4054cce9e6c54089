"""Reading of the letter that a text chooses."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequela.evaluation.answer_reading.letters import chosen_letter, first_letter

CHOICES = ("oak", "elm", "fir", "yew")

IN_A_FORM = r"""
D|(D)|[D]|{D}|((D))|[[D]]|<D>|【D】|「D」|（Ｄ）|Ｄ|Ⓓ|𝐃|D.|D)|d)|d.|(d)|d|"D"|'D'|“D”|«D»|‘D’|`D`|*D*
**D**|__D__|***D***
$D$|$$D$$|\(D\)|\text{D}|$\mathbf{D}$|\textbf{(D)}|$\boxed{D}$|\boxed{\text{D}}
The answer is $\boxed{\mathrm{D}}$.
<b>D</b>|<strong>D</strong>|<p>D</p>|<answer>D</answer>|&lt;i&gt;D&lt;/i&gt;|- D|• D|> D|### D|✅ D
D!|D…|D yew|D) yew|D. yew|D: yew
Answer: D|ANSWER: D|**Answer:** D|**Answer**: D|**Final Answer:** **D**|Final answer: D|Answer - D
Answer = D|Answer → D|Answer：D
Answer: (D)|Answer: d|Answer: **D**|Answer:\nD|Correct answer: D|Option D|Option: D|Choice D.
Ans. D|My answer: D|Response: D|### Answer: D
The answer is D.|the answer is d|The answer must be D.|The answer should be (D)
The answer would be option D.|The correct answer is: D
The correct option is D.|The best choice here is D.|The right choice would be D, the yew.
The answer is D, not A.|It is D.|It's D.|It must be D!
I choose D|I'd pick D.|I would go with option (D).|I think it is D|I'd say D|So, D.|Therefore D
D is correct.|D is the correct answer.|D because it is.
(D) is right|**D** would be the best.|D, not A|D rather than A|D (not A)|D. A is wrong.
A is wrong. D is correct.|Not A, but D|The answer is not A but D.
A? No. The answer is D.|The answer is A. No, the answer is D.|A: D|A: The answer is D
Sure! The answer is D.|D\n\nQuestion: Which?\nAnswer: B
答案：D|答案是D。|正解はD|정답: D|정답은 D입니다|Ответ: D|Réponse : D|La réponse est D.|Die Antwort ist D.
La respuesta es D|Risposta: D|الجواب: D|उत्तर: D
""".replace("\n", "|").replace(r"\n", "\n")

WITHOUT_ONE = r"""
|none of these|I don't know|Don't know|E|Answer: E|A, B|A/B|A & B|A or B|A and B|either A or B
both A and C|neither A nor B|A, B and C|A B C D|A. B. C. D.
(A), (C)|A; B|A,B|AB|Answer: A or B|Answer: A/B|The answer is A and C.|The answer is either A or B.
The answer could be A or C|A and C are correct
A. oak B. elm C. fir D. yew|A. oak\nB. elm\nC. fir|A) oak\nB) elm|not A|Not C.|The answer is not A.
The answer isn't A.|The answer cannot be A|It's not B.
A is wrong|C is not right; D is|C is incorrect.|B isn't it|D.C.|A.M.|U.S.A|B.C. 300|B-flat
C-section|D-day|C++|C#|A+|B2B|A's|D’s|A Cat|a cat|A day
The answer is a cat|B vitamins|C major|Vitamin C|Hepatitis B|None of the above|All of the above|A:|D:
D'accord
""".replace("\n", "|").replace(r"\n", "\n")


@pytest.mark.parametrize("text", [one for one in IN_A_FORM.split("|") if one])
def test_a_letter_is_read_in_any_form(text: str) -> None:
    assert chosen_letter(text, CHOICES) == "D"


@pytest.mark.parametrize("text", WITHOUT_ONE.split("|"))
def test_other_texts_choose_no_letter(text: str) -> None:
    assert chosen_letter(text, CHOICES) is None


@pytest.mark.parametrize(
    "text",
    [
        "C.C.",
        "C-flat",
        "C++",
        "C, B",
        "C/B",
        "C or B",
        "C and B",
        "C B A",
        "C Cat",
        "C is not right; B is",
        "C's",
    ],
)
def test_the_strict_reading_doesnt_take_the_first_letter_of_something_else(text: str) -> None:
    assert first_letter(text, CHOICES) is None


@pytest.mark.parametrize(
    "form",
    [
        "{}",
        "{}.",
        "({}) ",
        "{} is correct.",
        "{} because it is.",
        "{}: it is",
        "{}\nas",
        "{} would be best",
        "{}; so",
    ],
)
def test_no_letter_is_favored(form: str) -> None:
    for read in (first_letter, chosen_letter):
        found = [read(f" {form.format(letter)}", CHOICES) for letter in "BCD"]
        assert found == list("BCD")
        if form != "{}: it is":  # "A:" is also the label of an answer
            assert read(f" {form.format('A')}", CHOICES) == "A"


def test_a_letter_before_its_own_choice_is_read_and_another_word_makes_it_a_word() -> None:
    assert [
        chosen_letter(f"{letter} {own}", CHOICES) for letter, own in zip("ABCD", CHOICES, strict=True)
    ] == [*"ABCD"]
    assert chosen_letter("B yew", CHOICES) is None


def test_the_label_of_an_answer_is_not_the_letter_a() -> None:
    assert first_letter("A: C", CHOICES) == "C"
    assert chosen_letter("A: (C) fir", CHOICES) == "C"
    assert chosen_letter("A: oak", CHOICES) == "A"


@given(st.sampled_from(string.ascii_uppercase[:4]), st.sampled_from(["", " ", "\n", "**", "(", '"']))
def test_the_readings_agree_on_a_bare_letter(letter: str, before: str) -> None:
    assert first_letter(before + letter, CHOICES) == chosen_letter(before + letter, CHOICES) == letter


@pytest.mark.parametrize(
    "text",
    [
        "Answer — C",
        "The answer is 'C'",
        "the answer's C",
        "→ C",
        "Sure! C",
        "Okay, (C).",
        "Correct: C",
        "Selected = C",
        "You should choose C.",
        "选C",
        "C<|im_end|>",
        "C</s>",
        "Definitely C.",
        "I'd go with C",
        "C it is",
        "C I think",
        "Final: C",
        "คำตอบ: C",
        "\u200bC\ufeff",
    ],
)
def test_a_letter_is_read_behind_other_words_and_before_control_tokens(text: str) -> None:
    assert chosen_letter(text, CHOICES) == "C"


@pytest.mark.parametrize(
    "text",
    [
        "A* search",
        "A = B",
        "C -> D",
        "C > D",
        "C:\\temp",
        "Option C or option D",
        "choose C or D",
        "C (or D)",
        "C = 5",
        "I don't think it's C.",
        "A) oak, B) elm",
    ],
)
def test_relations_paths_and_alternatives_are_no_answers(text: str) -> None:
    assert chosen_letter(text, CHOICES) is None


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("The answer is C, but that's wrong", None),
        ("The answer is C, which is wrong", None),
        ("C. I was wrong.", None),
        ("C. Just kidding.", None),
        ("I was told the answer is C, but it isn't", None),
        ("Ann says the answer is C.", None),
        ("The answer was C, now it isn't", None),
        ("C is partially correct", None),
        ("C is only correct if D is", None),
        (r"\boxed{A}\boxed{C}", None),
        (r"\boxed{A}, \boxed{C}", None),
        ("C, scratch that, D", "D"),
        ("C; on second thought, D", "D"),
        ("The answer is C, I mean D", "D"),
        ("C. Oops, D.", "D"),
        ("C. Sorry, I meant D.", "D"),
        ("The answer is C. On reflection, it is D.", "D"),
        (r"\boxed{C} \boxed{C}", "C"),
        ("C. Sorry for the delay.", "C"),
        ("C. Actually, yes, C.", "C"),
        ("I was wrong before; the answer is C", "C"),
    ],
)
def test_a_letter_that_is_taken_back(text: str, letter: str | None) -> None:
    assert chosen_letter(text, CHOICES) == letter


@pytest.mark.parametrize("letter", "AEI")
@pytest.mark.parametrize(
    "form",
    [
        "Option {} is correct because it floats.",
        "{} is the best choice.",
        "{} it is",
        "{} because of it",
        "{} works",
        "{} obviously",
    ],
)
def test_the_letter_i_is_read_like_the_others(letter: str, form: str) -> None:
    assert chosen_letter(form.format(letter), tuple("pqrstuvwxy")) == letter


@pytest.mark.parametrize(
    "text", ["I was right about it", "I of course agree", "I would be correct to say so", "I for one"]
)
def test_the_pronoun_is_no_letter(text: str) -> None:
    assert chosen_letter(text, tuple("pqrstuvwxy")) is None


@pytest.mark.parametrize("letter", "ABD")
def test_a_letter_alone_counts_before_a_copy_of_the_choices(letter: str) -> None:
    copied = "A. oak\nB. elm\nC. fir\nD. yew"
    assert chosen_letter(f"{letter}\n\n{copied}", CHOICES) == letter
    assert chosen_letter(copied, CHOICES) is None


def test_remarks_on_the_other_choices_are_no_copy_of_them() -> None:
    text = "B. elm\n\nWhy the others are wrong:\nA. oak: it has acorns.\nC. fir: it has cones."
    assert chosen_letter(text, CHOICES) == "B"
