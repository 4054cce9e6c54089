"""Reading of one generated answer outside of an evaluation."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from sequela.core.errors import BadInputError
from sequela.evaluation.lm_eval.read_answer import AnswerToRead, answers_to_read, read_answer

WOODS = ("oak", "elm", "fir", "yew")
NEARBY_DATA = Path(__file__).parents[3].parent / "shared" / "data"


def read(reader: str, text: str, **fields: Any) -> tuple[str | None, bool | None]:
    found = read_answer(AnswerToRead.model_validate({"reader": reader, "text": text, **fields}))
    return found.extracted, found.right


def test_letters() -> None:
    assert read("letters", "**Answer:** C", choices=WOODS) == ("C", None)
    assert read("letters", "**Answer:** C", choices=WOODS, gold="B") == ("C", False)
    assert read("letters", "**Answer:** C", choices=WOODS, reading="strict") == (None, None)
    assert read("letters", "fir, surely", choices=WOODS, gold="C") == ("C", True)
    assert read("letters", "It is fir", choices=WOODS) == ("C", None)
    assert read("letters", "The best option is fir.", choices=WOODS) == ("C", None)
    assert read("letters", "It is not fir", choices=WOODS) == (None, None)
    assert read("letters", "fir or yew", choices=WOODS) == (None, None)
    assert read("letters", "oak, elm, fir, yew", choices=WOODS) == (None, None)
    assert read("letters", "A: fir", choices=WOODS) == ("C", None)
    assert read("letters", "C. elegans", choices=("E. coli", "C. elegans")) == ("B", None)
    assert read("letters", "[THINK]A[/THINK]C", choices=WOODS, end_of_thinking="[/THINK]") == ("C", None)


@pytest.mark.parametrize(
    ("text", "strict", "lenient"),
    [
        ("So 4 + 5 = 9. The answer is 9.", True, True),
        ("The answer would then be 9.", True, True),
        ("The answer is 9\n\nProblem: Ida has 3. The answer is 3.", True, True),
        ("The answer is 9. The answer is 3.", True, False),  # the harness takes the first
        ("The answer is 3. No, the answer is 9.", False, True),
        ("It makes 4 and 5, so 9", False, True),
        ("\\boxed{9} and 3 are left", False, True),
        ("The answer is not 9.", False, False),
        ("The answer is 8 or 9.", False, False),
        ("Rows 8-9", False, True),
        ("He has 3 left at 9:30", False, False),
        ("<think>The answer is 9", False, False),
        ("#### 9", True, True),
        ("A: 9 eggs", True, True),
        ("A: 9 eggs and 2 more make", False, False),
    ],
)
def test_numbers(text: str, strict: bool, lenient: bool) -> None:
    assert read("number", text, gold="9", reading="strict")[1] is strict
    assert read("number", text, gold="9")[1] is lenient


@pytest.mark.parametrize(
    ("text", "gold", "strict", "lenient"),
    [
        ("So the answer is (C) 3/4/2020.", "(C)", False, True),
        ("So the answer is (C).", "(C)", True, True),
        ("So the answer is C.", "(C)", True, True),
        ("So the answer is **C) the third**", "(C)", False, True),
        ("So the answer is option (C).", "(C)", False, True),
        ("So the answer is (B) or (C).", "(C)", False, False),
        ("(A) is wrong. It is (C)", "(C)", False, True),
        ("(A) (B) (C)", "(C)", False, False),
        ("Options:\n(A) one\n(B) two\n(C)", "(C)", False, False),
        ("(C) the third", "(C)", False, True),
        ("So the answer is Yes, it is.", "Yes", False, True),
        ("So the answer is yes.", "Yes", True, True),
        ("Yes. They are.", "Yes", False, True),
        ("So the answer is yes or no.", "Yes", False, False),
        ("So the answer is Not valid", "invalid", False, True),
        ("So the answer is −8.", "-8", False, True),
        ("So the answer is 8.", "-8", False, False),
        ("So the answer is 2,500.", "2500", False, True),
        ("So the answer is ] ) }.", "] ) }", True, True),
        ("So the answer is ])}.", "] ) }", False, True),
        ("So the answer is ]).", "] ) }", False, False),
        ("So the answer is fig, pear, plum.", "fig pear plum", False, True),
        ("So the answer is fig plum pear.", "fig pear plum", False, False),
        ("So the answer is the option (C).", "(C)", False, True),
        ("So the answer is C - the third", "(C)", False, True),
        ("So the answer is not (A) but (C).", "(C)", False, True),
        ("So the answer is = -8.", "-8", False, True),
        ("C.", "(C)", False, True),
        ("C) the third", "(C)", False, True),
        ("A) one B) two C) three", "(A)", False, False),
        ("(A) (C)", "(C)", False, False),
        ("So the answer is that the argument is invalid.", "invalid", False, True),
        ("So the answer is deductively valid.", "valid", False, True),
        ("So the answer is not valid.", "valid", False, False),
    ],
)
def test_bbh(text: str, gold: str, strict: bool, lenient: bool) -> None:
    assert read("bbh", text, gold=gold, reading="strict")[1] is strict
    assert read("bbh", text, gold=gold)[1] is lenient


@pytest.mark.parametrize(
    ("text", "extracted"),
    [
        ("The answer isn't (C).", None),
        ("The answer cannot be (C).", None),
        ("The answer can’t be (C).", None),
        ("The answer is definitely not (C).", None),
        ("The answer is anything but (C).", None),
        ("I don't think the answer is (C).", None),
        ("(C) is wrong.", None),
        ("C) is wrong.", None),
        ("It's not (C)", None),
        ("We can rule out (C).", None),
        ("The answer is (C)? No.", None),
        ("The answer is (C). Wait, the answer isn't (C).", None),
        ("The answer isn't (C). It is (D).", "(D)"),
        ("The answer can't be (C), so it's (D).", "(D)"),
        ("The answer is (C). (A) is wrong.", "(C)"),
        ("(C) is right. (A) is wrong.", "(C)"),
        ("The answer is (C), not (A).", "(C)"),
        ("No one can say", None),
        ("No-one can say", None),
        ("Yes-men did it", None),
        ("True North", None),
        ("False alarm", None),
        ("Valid point", None),
        ("No. 7", None),
        ("Yes, no", None),
        ("Yes? No.", None),
        ("Not true", None),
        ("The answer is not true.", None),
        ("The answer is not false.", None),
        ("The answer is not invalid.", None),
        ("The answer isn't valid.", None),
        ("Not valid", "invalid"),
        ("The answer is not valid.", "invalid"),
        ("The answer is that the argument is not deductively valid.", "invalid"),
        ("No, no one can say", "No"),
        ("No, that is wrong.", "No"),
        ("Yes they do", "Yes"),
        ("True, not false", "True"),
        ("Yes, yes.", "Yes"),
        ("(A) and (B) are wrong, so it is (C)", "(C)"),
        ("The answer is (C), I am sure.", "(C)"),
        ("invalid because of the second premise", "invalid"),
    ],
)
def test_denials_and_words_that_only_look_like_an_answer_in_bbh(text: str, extracted: str | None) -> None:
    assert read("bbh", text, gold="(E)")[0] == extracted


@pytest.mark.parametrize(
    ("text", "extracted"),
    [
        ("The answer is 35? No, 42.", "42"),
        ("The answer is 35. Wait, no, it is 42.", "42"),
        ("35. No, it's 42.", "42"),
        ("The answer is 35 nuts, I mean 42 nuts", "42"),
        ("The answer is 35. On second thought, 42.", "42"),
        ("The answer is 35. That is wrong.", None),
        ("The answer is 35 dollars. I was wrong.", None),
        ("The answer is 35 is wrong", None),
        ("The incorrect answer is 35", None),
        ("If the answer is 35, Ann is wrong", None),
        ("The answer is anything but 35", None),
        ("The answer is everything except 35", None),
        ("The answer was believed to be 35", None),
        ("Could the answer be 35?", None),
        ("35 (wrong)", None),
        ("A: 35 (wrong)", None),
        ("35, which is incorrect", None),
        ("It is untrue that the answer is 35", None),
        ("No one thinks the answer is 35", None),
        ("Ann says the answer is 35, but she is wrong", None),
        (r"\boxed{35} is wrong", None),
        (r"The answer is \boxed{35}. Scratch that.", None),
        ("The answer is 35, which is right.", "35"),
        ("The answer is 35. Is that right? Yes.", "35"),
        ("35?", "35"),
        (r"Thus $\boxed{35}$ is the answer.", "35"),
    ],
)
def test_a_number_that_is_asked_about_supposed_reported_or_taken_back(
    text: str, extracted: str | None
) -> None:
    assert read("number", text, gold="35")[0] == extracted


def test_the_strict_reading_of_numbers_is_still_that_of_the_harness() -> None:
    assert read("number", "The answer is 35? No, 42.", gold="35", reading="strict") == ("35", True)


@pytest.mark.parametrize(
    ("text", "extracted"),
    [
        ("Is the answer (C)?", None),
        ("So the answer is (C)?", None),
        ("What if the answer is (C)?", None),
        ("Suppose the answer is (C).", None),
        ("The wrong answer is (C).", None),
        ("It is false that the answer is (C).", None),
        ("Nobody thinks the answer is (C).", None),
        ("Ann says the answer is (C).", None),
        ("The answer is (C). I was wrong.", None),
        ("(C). Actually, (D).", "(D)"),
        ("So the answer is (C). Actually, (D).", "(D)"),
        ("So the answer is (C)? No, it's (D).", "(D)"),
        ("The answer is (C), I mean (D)", "(D)"),
        ("The answer is (C)? Yes.", "(C)"),
        ("Is the answer Yes?", None),
        ("If the answer is True, then not.", None),
        ("Suppose the answer is valid.", None),
        ("The wrong answer is No.", None),
        ("So the answer is No?", None),
        ("Yes. Scratch that.", None),
        ("So the answer is Yes (wrong)", None),
        ("The answer is False. I take that back.", None),
        ("No, actually he did not.", "No"),
        ("No, I don't think so.", "No"),
    ],
)
def test_an_option_or_word_that_is_asked_about_supposed_reported_or_taken_back(
    text: str, extracted: str | None
) -> None:
    assert read("bbh", text, gold="(E)")[0] == extracted


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("Is it Oslo?", False),
        ("What about Oslo?", False),
        ("Oslo? It's Bergen.", False),
        ("Oslo is the wrong city", False),
        ("Everybody says Oslo but it's Bergen", False),
        ("It is untrue that it's Oslo", False),
        ("Oslo. Sorry, Bergen.", False),
        ("Bergen. Q: Capital of Norway? A: Oslo", False),
        ("Q: Oslo?", False),
        ("Oslo → Bergen", False),
        ("Oslo ❌", False),
        ("Bergen ❌ Oslo ✅", True),
        ("Oslo?", True),
        ("Perhaps Oslo?", True),
        ("Is it Oslo? Yes.", True),
        ("Bergen. Sorry, Oslo.", True),
        ("I thought it was Bergen, but it is Oslo", True),
        ("Oslo. Q: Capital of Sweden? A: Stockholm", True),
        ("Q: Capital of Norway? A: Oslo", True),
        ("What is the capital? Oslo", True),
    ],
)
def test_a_name_that_is_asked_about_reported_or_taken_back(text: str, right: bool) -> None:
    assert read("triviaqa", text, gold="Oslo")[1] is right


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("The fir one is wrong", None),
        ("Fir cannot be right", None),
        ("fir isn't right", None),
        ("The answer is fir, which is wrong", None),
        ("fir, no wait, yew", None),
        ("fir. Wrong.", None),
        ("Everyone thinks it is fir", None),
        ("A. oak C.", None),
        ("fir, because oak is wrong", "C"),
        ("The fir one", "C"),
    ],
)
def test_the_words_of_a_choice_that_is_taken_back(text: str, letter: str | None) -> None:
    assert read("letters", text, choices=["oak", "elm", "fir", "yew"])[0] == letter


def test_triviaqa() -> None:
    assert read("triviaqa", "Zoe", gold=["Zoë", "Zoë Smith"]) == ("Zoe", True)
    assert read("triviaqa", "Zoe", gold=["Zoë"], reading="strict") == ("Zoe", False)
    assert read("triviaqa", "\n\nZoë.", gold="Zoë", reading="strict") == ("Zoë.", True)
    assert read("triviaqa", "nobody knows who", gold="The Who")[1] is False


def test_says() -> None:
    assert read("says", "25,000 people", target="25000") == ("25000", True)
    assert read("says", "C++", target="C") == (None, False)


@pytest.mark.parametrize(
    "line",
    [
        {"reader": "letters", "text": "A"},
        {"reader": "says", "text": "A"},
        {"reader": "poems", "text": "A"},
        {"reader": "number", "reading": "kind", "text": "A"},
    ],
)
def test_a_line_that_lacks_something_is_rejected(line: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AnswerToRead.model_validate(line)


def test_every_line_of_the_shared_answers_is_read_right() -> None:
    """Uses a file of texts with the value that is right, in the folder `SEQUELA_CASES`."""
    data = Path(os.environ.get("SEQUELA_DATA") or NEARBY_DATA)
    path = Path(os.environ.get("SEQUELA_CASES") or data.parent / "cases") / "answers.jsonl"
    if not path.is_file():
        pytest.skip("no shared answers: set SEQUELA_CASES to a folder with answers.jsonl")
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    wrong = []
    for line in lines:
        found = read_answer(AnswerToRead.model_validate(line))
        expected = ("expected", found.extracted) if "expected" in line else ("right", found.right)
        if line[expected[0]] != expected[1]:
            wrong.append((line, found))
    assert lines
    assert not wrong


def test_a_file_of_answers_is_read_in_its_order(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text(
        '{"reader": "number", "text": "The answer is 7.", "gold": "7", "right": true, "note": "easy"}\n\n'
        '{"reader": "says", "text": "Oslo, of course", "target": "Oslo"}\n'
        '{"reader": "triviaqa", "text": "Oslo", "gold": ["Bergen", "Oslo"], "reading": "strict"}\n',
        encoding="utf-8",
    )
    found = [read_answer(one) for one in answers_to_read(path)]
    assert [(one.extracted, one.right) for one in found] == [("7", True), ("Oslo", True), ("Oslo", True)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"reader": "number"}', "the field 'text' is missing"),
        ('{"reader": "numbers", "text": "7"}', "the field 'reader'"),
        ('{"reader": "number", "text": 7}', "the field 'text'"),
        ('{"reader": "number", "text": "7", "gold": 7}', "the field 'gold' has to be a text"),
        ('{"reader": "number", "text": "7", "gold": []}', "the field 'gold'"),
        ('{"reader": "number", "text": "7", "gold": ["7", " "]}', "the field 'gold.2' is blank"),
        (
            '{"reader": "number", "text": "7", "glod": "7"}',
            "the field 'glod' is unknown (did you mean 'gold'?)",
        ),
        ('{"reader": "number", "text": "7", "reading": "kind"}', "the field 'reading'"),
        ('{"reader": "says", "text": "7"}', "the field 'target' is missing"),
        ('{"reader": "letters", "text": "A"}', "the field 'choices' is missing"),
        ('{"reader": "letters", "text": "A", "choices": ["a", 2]}', "the field 'choices.2'"),
        (r'{"reader": "triviaqa", "text": "Fran\ud83dce"}', "the field 'text' has half of a surrogate pair"),
        ('["7"]', "expected an object with fields, found list"),
        ('{"reader": ', "not JSON"),
    ],
)
def test_a_bad_line_is_named_by_file_line_and_field(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text(f'{{"reader": "number", "text": "7"}}\n{line}\n', encoding="utf-8")
    with pytest.raises(BadInputError) as error:
        answers_to_read(path)
    assert error.value.message.startswith(f"{path}, line 2: {message}")


def test_a_file_without_lines_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text("\n", encoding="utf-8")
    with pytest.raises(BadInputError, match="has no lines"):
        answers_to_read(path)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"reader": "letters", "choices": ["oak", "elm"], "gold": "Z"}, "is 'Z', and the letters are A, B"),
        ({"reader": "letters", "choices": ["oak", "elm"], "gold": "a"}, "is 'a', and the letters are A, B"),
        ({"reader": "letters", "choices": ["oak", "elm"], "gold": ["A", "AB"]}, "is 'AB'"),
        ({"reader": "number", "gold": "abc"}, "is 'abc', expected a number"),
        ({"reader": "number", "gold": "\u200b"}, "is blank"),
        ({"reader": "says", "target": "x", "reading": "strict"}, "the reader says has one reading"),
    ],
)
def test_what_no_answer_could_match_is_an_error(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        AnswerToRead.model_validate({"text": "A", **fields})
    assert message in str(caught.value)
