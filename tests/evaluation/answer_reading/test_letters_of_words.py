"""Letters that belong to something else."""

from __future__ import annotations

import pytest

from sequela.evaluation.answer_reading.letters import chosen_letter

CHOICES = ("oak", "elm", "fir", "yew")

SOMETHING_ELSE = r"""
C is a programming language
A is for apple
A. A. Milne wrote it
C$5
D:
A cat
I think ...
B vitamins
C 언어
C言語
C是一种编程语言
Vitamin C is good.
C is the third letter of the alphabet.
B is a good grade.
A is a vowel.
D is a vitamin.
C. S. Lewis
D. Defoe wrote it
D is the fourth letter.
B is a city
C is my favorite vitamin
B. B. King played it
C. S. Lewis wrote it.
D. H. Lawrence
A. Einstein
B. Obama was president
A$10
C€20
D:\\Users
C: drive
C:
A dog barks
A tree
A few reasons
I believe so
C vitamins are healthy
B movies
D major
A-level
C-4
C3PO
B&B
C sharp
D minor
None of the options is correct.
BC
As an AI language model, I cannot answer.
A person would say fir.
A is the first letter.
A is an article.
I need more context.
I like fir.
B is for boy.
B is short for boron.
B stands for fir.
C stands for carbon.
C means fir in this code.
D was invented in 1999.
D is pronounced dee.
C was developed by Dennis Ritchie.
A, the first letter, is a vowel.
B cells make antibodies.
B flat is a note.
A minor third
C section
D day
B. Franklin flew a kite
C. Darwin
D: the drive is full
D$ 20
A 4.0 average
A+ grade
A*
A1
C:/Windows
Supposedly C
A is for ant, B is for bee
A.D. 70
B is a blood type
C is a note
C is the chemical symbol for carbon
D is a consonant
A is one of the vowels
B is the second letter
A is for effort
A. J. Ayer
B. F. Skinner said so
C. G. Jung
D. Bowie
D. Hume argued this
A£5
B$
D:\\Games\\x
E: drive
A:
B:
A car
A very long road
I guess
I would say so.
B complex
B-side
C-major
D-Day landings
C# is a language
C/C++
A.I.
A/C
D.O.A.
A&E
C'mon
D'oh
C is an element
C is used in chemistry
C is the speed of light
C is a great language
A is the best grade
B is the best vitamin
A was a king
A rose is a rose
A. Lincoln was president
B. Russell
D. Adams wrote that
C$ 7.50
C#
C-suite
B-roll
D-
A++
D: \
A big dog.
A, B, C's
I
I am
I'd rather not say
"""


@pytest.mark.parametrize("text", [one.replace(r"\n", "\n") for one in SOMETHING_ELSE.strip().splitlines()])
def test_the_first_letter_of_something_else_is_no_answer(text: str) -> None:
    assert chosen_letter(text, CHOICES) is None


def test_a_name_among_the_choices_is_a_label_and_another_one_a_name() -> None:
    assert chosen_letter("D. Defoe", ("Swift", "Sterne", "Fielding", "Daniel Defoe")) == "D"
    assert chosen_letter("D. Defoe", CHOICES) is None
