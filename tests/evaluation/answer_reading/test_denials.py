"""Denials of an answer, conditions, other people's views, and questions."""

from __future__ import annotations

import pytest

from sequela.evaluation.answer_reading.letters import chosen_letter, first_letter

CHOICES = ("oak", "elm", "fir", "yew")

DENIED = r"""
C is obviously wrong
C is ruled out
C is unlikely
C is a distractor
wrong answer: C
I wouldn't choose A
not C
C can't be right
C isn't it
anything but C
neither A nor B
C. fir is wrong
C, no
C - incorrect
C (wrong)
❌ C
The answer can't be C
The answer is never C
I don't believe it is C.
C is not the answer
C is definitely not right
C would be wrong
C doesn't make sense
C makes no sense
rule out C
The wrong option is C.
Everything except C
I doubt it is C.
C is far from correct.
C seems right, but it isn't.
La respuesta no es C
La réponse n'est pas C
Die Antwort ist nicht C
A resposta não é C
Đáp án không phải là C
答案不是C
正解はCではない
C不对
不选C
C es incorrecta
C ist falsch
C est fausse
The answer is not \boxed{C}.
C is a poor choice
C is the worst answer
C is the least likely
The least likely is C
Option C is clearly incorrect.
C is a decoy.
incorrect choice: B
Not this one: C
I would never pick B.
I'd avoid A.
I don't think that C is right.
everything but D
all but A
neither B nor D
It's definitely not D.
The answer is certainly not A
Cross out B.
C is hardly right
C isn't correct
C is not the correct answer.
C couldn't be the answer
You should not choose B
Don't select D.
B must be false
B: wrong
B - no
(B) is incorrect
"B" is not right
**B** is wrong
$B$ is incorrect
The incorrect answer is B.
I am not sure
La respuesta no es la B.
B não é a resposta
Ce n'est pas B.
B ist nicht richtig.
不是B
Dは間違いです
B는 틀렸습니다
None of these, except B.
A and B are both wrong.
I can't decide between B and C.
I'm not going to answer that.
I have no idea.
C is excluded
eliminate C
We can eliminate C.
La risposta non è C
C가 아닙니다
If the answer is C, we lose.
Some people say it is C.
Many students choose C.
C is plainly mistaken
C has to be excluded.
C was eliminated.
C can be discarded.
C would be a mistake
A student would choose C.
A common mistake is to choose B.
C isn't the best fit.
C seems implausible to me
Option D can be dismissed.
I'd rule out option D.
Definitely not B
Surely not A.
Never C
The answer is anything other than A.
The one answer I'm sure is wrong is B.
The distractor is D.
B does not apply.
B never works
B fails
A, wrong
A = wrong
A ✗
A ❌
Not B!
No way it's B.
I disagree with B.
B is off the table.
B is inconsistent with the passage
A isn't true
The least plausible answer is C.
D is not right. C is.
A isn't right but B is.
El resultado no es C.
Nein, nicht B.
Não é B
Pas D
Không phải B
Bではない
D는 아니다
B是错误的
答案不是D。
C is nowhere near correct
C is the one to avoid
C, although popular, is wrong
C - this is incorrect
C: This is wrong.
C (not correct)
C was my first thought but it's wrong
I ruled C out.
Scratch C.
C can safely be ignored
Forget C
It has to be anything except C.
Of all these, C makes the least sense.
C is less likely than D.
C would not be right
C is no good
C is not a fruit
C has nothing to do with it
Choosing C would be wrong.
C is nonsense.
The only wrong one is C.
**C** is not the answer.
It's not C, D, or A
A and B cannot both be right
"""

ASKED = r"""
Is the answer C?
Could it be C?
Why not C?
C, right?
Is B correct?
Would it be D?
So the answer is B?
Is C the answer
Can you tell me if it is C?
Shall I choose D?
What about B?
Hmm, B?
Is it A?
Do you mean B?
Which one, A or B?
A or B?
Did you choose C?
Isn't it D?
I wonder if it is D.
Should the answer be C?
B or D?
Could the answer be D?
Am I right that it is B?
Would you choose C?
Isn't the answer A?
The answer is B, right?
Why is it C?
Or is it D?
Who chose B?
The answer is D?
How about A?
Is it B? No.
Is C right or is it D?
C or what?
Could C be it?
Do we pick C?
"""


@pytest.mark.parametrize("text", [one.replace(r"\n", "\n") for one in DENIED.strip().splitlines()])
def test_a_letter_that_the_text_denies_is_no_answer(text: str) -> None:
    assert chosen_letter(text, CHOICES) is None
    assert first_letter(text, CHOICES) is None


@pytest.mark.parametrize("text", [one.replace(r"\n", "\n") for one in ASKED.strip().splitlines()])
def test_a_letter_that_the_text_asks_about_is_no_answer(text: str) -> None:
    assert chosen_letter(text, CHOICES) is None


@pytest.mark.parametrize(
    "reason", ["because A is wrong", "since A cannot be", "as A is not", "which is not an oak"]
)
def test_a_denial_in_a_reason_denies_no_letter_before_it(reason: str) -> None:
    assert chosen_letter(f"The answer is D, {reason}.", CHOICES) == "D"


@pytest.mark.parametrize("phrase", ["no doubt", "without a doubt", "without any question"])
def test_a_phrase_with_a_word_of_negation_need_not_deny(phrase: str) -> None:
    assert chosen_letter(f"The answer is D, {phrase}.", CHOICES) == "D"
