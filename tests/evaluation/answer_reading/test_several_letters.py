"""Several letters where one was asked for."""

from __future__ import annotations

import pytest

from sequela.evaluation.answer_reading.letters import chosen_letter

CHOICES = ("oak", "elm", "fir", "yew")

SEVERAL = r"""
C和D
B. elm\nC. fir\nD. yew
C) fir\nD) yew
C또는 D
C\nD
'B' and 'C'
A与C
BとD
A또는 B
A과 C
D\nC\nB
B) elm\nC) fir\nD) yew
B: elm\nC: fir\nD: yew
D. yew\nC. fir\nB. elm
$A$ and $B$
"C" or "D"
{C, D}
C、D
C as well as D
C, then D
C. fir or D. yew
D is also correct
C is correct. D is also correct.
C. D is also correct
The answer is C, but D is also correct.
B. elm C. fir D. yew
(B) elm (C) fir (D) yew
\boxed{C} or \boxed{D}
\boxed{C, D}
1. C\n2. D
1. A 2. B 3. C
|A|B|
C|D
C & D
C + D
C plus D
C or maybe D
C, D and A
C y D
C et D
C und D
C e D
C 和 D
**C** and **D**
(C) and (D)
(C), (D)
`C`/`D`
C; D
c or d
c, d
C and also D
Both C and D are right
The answers are C and D.
C. The answer is D.
$B$ or $C$
$A, B$
\text{A} and \text{D}
`A` or `B`
<b>A</b>, <b>B</b>
[A], [D]
{A and C}
[A/B]
B、C、D
B or else C
B along with C
A together with D
A, and possibly D
B, but also C
A. oak and C. fir
A) oak, D) yew
B elm or D yew
B is right and so is C.
The answer is B. However, C is also possible.
The answer is A; D is correct as well.
B. C could be right too.
Options A and D
Answers: B, C
Answer: B & D
Either C or D.
It is B or D.
I'd go with A or C
C) fir D) yew
[B] elm\n[C] fir
- B. elm\n- C. fir\n- D. yew
**B.** elm\n**C.** fir
B. elm, C. fir, D. yew
All of them: A, B, C and D.
A through D
A-D
A to C
from A to D
Only A and B are correct.
Both A and D.
Two answers fit: B and C.
The possible answers are A, C.
It could be either B or C.
Could be A. Could be B.
Possibly B, possibly C.
I am torn between A and D.
B/C
B (or maybe C)
B - C
B + C
B, C
B C
B > C
The answer is B or possibly D, hard to tell.
"A", "B"
*A* or *B*
<i>A</i> and <i>C</i>
\mathbf{B} \text{ and } \mathbf{C}
(B)/(C)
B,C,D
B;C
C또는D
B及C
A 或 B
AかB
B alternatively D
B, alternatively C
B and/or C
B & also D
B then C
B followed by D
first B, then C
C. fir and also D. yew
(A) oak or (B) elm
A: oak, B: elm
B is correct, D is too.
B is correct. So is D.
B is correct, as is D.
D, and B too
B works, and C works too.
C: fir; D: yew
C - fir\nD - yew
B) elm C) fir
* B. elm\n* C. fir\n* D. yew\n
C) fir\n\nD) yew
C, A
(C) / (D)
$C$, $D$
C\tD
"C" and "D" are both correct
C或D
C, possibly D
C with D
C, or D if it is dark
C. fir / D. yew
C fir, D yew
C. fir\n\nD. yew
C - fir, D - yew
c) fir\nd) yew
C) fir, because it is fir. D) yew, because it is yew.
"""


@pytest.mark.parametrize("text", [one.replace(r"\n", "\n") for one in SEVERAL.strip().splitlines()])
def test_several_letters_are_no_answer(text: str) -> None:
    assert chosen_letter(text, CHOICES) is None


@pytest.mark.parametrize(
    "between", ["and", "or", "as well as", "/", "&", "、", "和", "と", ", then", "$ and $", ". fir or"]
)
def test_no_pair_of_letters_is_an_answer(between: str) -> None:
    for one, other in ("CA", "CB", "CD"):
        assert chosen_letter(f"{one} {between} {other}", CHOICES) is None
        assert chosen_letter(f"The answer is {one} {between} {other}.", CHOICES) is None


@pytest.mark.parametrize("first", [0, 1, 2])
@pytest.mark.parametrize("label", ["{}. {}", "{}) {}", "({}) {}", "{}: {}"])
@pytest.mark.parametrize("end", ["\n", " ", ", "])
def test_a_copied_list_of_choices_is_no_answer_wherever_it_begins(first: int, label: str, end: str) -> None:
    listed = end.join(label.format(*one) for one in list(zip("ABCD", CHOICES, strict=True))[first:])
    assert chosen_letter(listed, CHOICES) is None
    assert chosen_letter(f"{listed}\nThe answer is D.", CHOICES) == "D"
