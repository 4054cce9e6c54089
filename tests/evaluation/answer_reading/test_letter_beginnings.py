"""The words before the letter at a text's beginning."""

from __future__ import annotations

import pytest

from sequela.evaluation.answer_reading.letter_beginnings import end_of_label, start_of_answer
from sequela.evaluation.answer_reading.letters import chosen_letter

CHOICES = ("oak", "elm", "fir", "yew")

READ = r"""
Merely C => C
Possibly B => B
Certainly D => D
Of course A. => A
Indeed, B. => B
Ok B => B
OK: C => C
Yes: D => D
Yup, B => B
Well, A => A
Hmm, C => C
Alright, D. => D
Output = B => B
Output: (B) => B
Output:\nB => B
Response: A. => A
Return: C => C
Final: D => D
Final answer = A => A
Prediction = B => B
Key: C => C
A1: B => B
1) C => C
1: D => D
10. A => A
#3: B => B
(1) C => C
| D => D
|**B**| => B
choice b => B
letter c. => C
Je pense que c'est B. => B
A resposta certa é D => D
Alternativa B => B
Câu trả lời là D => D
Đáp án C => C
正解: B => B
正解はCでした => C
答案應該是B => B
我认为答案是A => A
选项B是正确的 => B
选B => B
答えはDだと思います => D
정답은 A => A
C번 => C
Ответ: D => D
Правильный ответ: B => B
"""


@pytest.mark.parametrize("line", READ.strip().splitlines())
def test_a_letter_is_read_behind_interjections_labels_and_numbers(line: str) -> None:
    text, letter = line.replace(r"\n", "\n").rsplit(" => ", 1)
    assert chosen_letter(text, CHOICES) == letter


@pytest.mark.parametrize(
    ("before", "text"),
    [
        ("", "C"),
        ("Sure! ", "C"),
        ("Which is right? ", "C"),
        ("3. ", "C"),
        ("Is it A? No, ", "C"),
        ("A: ", "C"),
    ],
)
def test_where_the_answer_starts(before: str, text: str) -> None:
    assert start_of_answer(before + text, CHOICES) == len(before)


def test_a_question_about_something_else_is_not_skipped() -> None:
    assert start_of_answer("Why is the sky blue? C", CHOICES) == 0


def test_an_echoed_label_is_skipped_unless_the_choice_a_follows() -> None:
    assert end_of_label("A: elm", CHOICES) == 3
    assert end_of_label("A: oak", CHOICES) == 0


@pytest.mark.parametrize("word", ["Unlikely", "Hardly", "Incorrectly", "Family", "July"])
def test_an_adverb_of_doubt_and_a_noun_are_no_interjection(word: str) -> None:
    assert chosen_letter(f"{word} C", CHOICES) is None
