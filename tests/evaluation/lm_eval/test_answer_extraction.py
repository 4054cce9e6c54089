"""Parsing of generated answers."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sequela.evaluation.lm_eval.answer_extraction import (
    COMPARISONS,
    EXTRACTORS,
    AnswerParser,
    all_extracted,
    as_number,
    read,
)
from sequela.evaluation.lm_eval.task_file import task_files

CHOICES = ("a cat", "the dog", "Iron", "iron ore", "none of these")


@pytest.mark.parametrize(
    ("extractor", "text", "found"),
    [
        ("first_letter", " B", "B"),
        ("first_letter", "(C) Iron", "C"),
        ("first_letter", "**D**", "D"),
        ("first_letter", "B. the dog", "B"),
        ("first_letter", "A", "A"),
        ("first_letter", "A cat sleeps", None),  # an article
        ("first_letter", "A. cat", "A"),
        ("first_letter", "Because of B", None),
        ("first_letter", "F", None),  # there are five choices
        ("first_letter", "b", None),
        ("first_letter", "B's", None),
        ("first_letter", "", None),
        ("stated_letter", "I think the answer is (C).", "C"),
        ("stated_letter", "Answer: D", "D"),
        ("stated_letter", "The answer is A. No, the answer is B.", "B"),
        ("stated_letter", "The answer is a cat", None),
        ("stated_letter", "The answer is A cat", None),
        ("stated_letter", "The correct option would be E", "E"),
        ("choice_text", "the dog.", "B"),
        ("choice_text", "Dog", "B"),
        ("choice_text", "Iron ore, of course", "D"),
        ("choice_text", "iron and steel", "C"),
        ("choice_text", "ironing", None),
        ("choice_text", "I am sure the answer is a cat", "A"),
        ("choice_text", "perhaps", None),
        ("stated_number", "So 3 + 4 = 7. The answer is 7.", "7"),
        ("stated_number", "The answer is $1,250.50", "$1,250.50"),
        ("stated_number", "The answer is -3", "-3"),
        ("stated_number", "the answer is about 12 eggs", "12"),
        ("stated_number", "The answer is 5. Or rather the answer: 6", "6"),
        ("stated_number", "He has 7", None),
        ("marked_number", "7 + 11 = 18\n#### 18", "18"),
        ("marked_number", "7 + 11 = 18\nA: 18", "18"),
        ("marked_number", "18", None),
        ("last_number", "first 3, then 4.", "4"),
        ("last_number", "none", None),
        ("stated_text", "So the answer is False.\n", "False."),
        ("stated_text", "So the answer is", None),
        ("stated_text", "It is so", None),
        ("last_option", "(A) is wrong, so (B)", "(B)"),
        ("last_option", "A or B", None),
        ("stated_answer", "So the answer is (B) or maybe (D).", None),
        ("stated_answer", "So the answer is (B) or something.", None),
        ("stated_answer", "So the answer is (C) Monday or later", "(C)"),
        ("stated_answer", "So the answer is ( B ).", "(B)"),
        ("stated_answer", "The answer is most likely (D).", "(D)"),
        ("stated_answer", "So the answer is A - B = 7", "7"),
        ("stated_answer", "So the answer is C * D = 3 * -4 = -12.", "-12"),
        ("stated_answer", "So the answer is ]. So the stack is empty.", "]"),
        ("stated_answer", "The answer is plum rose tulip. They are sorted.", "plum rose tulip"),
        ("stated_answer", "The answer is No. Wait, it is Yes.", "Yes"),
        ("stated_answer", "The answer is, of course, Yes.", "Yes"),
        ("stated_answer", "The answer isn't no, it's yes.", "yes"),
        ("stated_answer", "The answer is not no.", None),
        ("first_option", "B. the tree", "(B)"),
        ("first_option", "A. Milne wrote it", None),
        ("first_option", "(c)", "(C)"),
        ("first_option", "I would pick D.", "(D)"),
        ("first_closed_word", "Therefore, no.", "no"),
        ("whole_line", r"\boxed{-36}", "-36"),
        ("whole_line", "**12**.", "12"),
        ("whole_line", "} ] )", "} ] )"),
        ("whole_line", "ant bee cow", "ant bee cow"),
        ("whole_line", "it is hot today", None),
        ("whole_line", r"\boxed{15} is wrong.", None),
        ("whole_line", r"The answer is not \boxed{15}.", None),
        ("first_line", "\n  Paris \nRome", "Paris"),
        ("first_line", " \n ", None),
    ],
)
def test_extractors(extractor: str, text: str, found: str | None) -> None:
    assert EXTRACTORS[extractor](text, CHOICES) == found


@pytest.mark.parametrize(
    ("compare", "found", "targets", "right"),
    [
        ("letter", "B", ["B"], True),
        ("letter", "B", ["C"], False),
        ("number", "$1,250.00", ["1250"], True),
        ("number", "−3", ["-3"], True),
        ("number", "18.5", ["18"], False),
        ("number", "many", ["18"], False),
        ("words", "False.", ["False"], True),
        ("words", "`yes`. ", ["Yes"], True),
        ("words", "(B)", ["(B)"], True),
        ("words", "B", ["(B)"], True),
        ("words", "] ) >", ["] ) >"], True),
        ("words", "] )", ["] ) >"], False),
        ("words", "alpha  beta", ["alpha beta"], True),
        ("name", "The Beatles!", ["Beatles"], True),
        ("name", "Ruddygore", ["Ruddigore", "Ruddygore"], True),
        ("name", "the", ["a"], False),
        ("name_within", "It was Henry the Eighth, I think", ["Henry Eighth"], True),
        ("name_within", "Parisian", ["Paris"], False),
        ("name_within", "anything", ["the"], False),
        ("name_within", "-30", ["30"], False),
        ("answer", "30 pens.", ["30"], True),
        ("answer", "30%", ["30"], False),
        ("answer", "30%", ["30%"], True),
        ("answer", "30 minus 2", ["30"], False),
        ("answer", "30⋅2", ["60"], True),
        ("answer", "30 dozen", ["30"], False),
        ("answer", "30 or more", ["30"], False),
    ],
)
def test_comparisons(compare: str, found: str, targets: list[str], right: bool) -> None:
    assert COMPARISONS[compare](found, targets) is right


def test_the_first_extractor_that_finds_an_answer_counts() -> None:
    parser = AnswerParser(extractors=("stated_number", "last_number"), compare="number")
    stated = read("The answer is 4. I had 9.", parser, ["4"])
    assert (stated.extracted, stated.by, stated.right) == ("4", "stated_number", True)
    last = read("I had 9.", parser, ["4"])
    assert (last.extracted, last.by, last.right) == ("9", "last_number", False)
    nothing = read("I don't know", parser, ["4"])
    assert (nothing.extracted, nothing.by, nothing.right) == (None, "", False)
    assert all_extracted("I had 9.", {"strict": parser}, ()) == {"stated_number": None, "last_number": "9"}


@given(st.text(max_size=60), st.lists(st.text(min_size=1, max_size=8), max_size=5))
def test_no_text_breaks_an_extractor(text: str, choices: Sequence[str]) -> None:
    for extractor in EXTRACTORS.values():
        found = extractor(text, choices)
        assert found is None or found != ""
        if found is not None:
            for compare in COMPARISONS.values():
                assert compare(found, ["x"]) in (True, False)


@given(st.integers(-(10**12), 10**12))
def test_numbers_are_parsed_with_separators_and_signs(value: int) -> None:
    for written in (f"{value}", f"{value:,}", f"{value}.00", f"{value}."):
        assert as_number(written) == value
    found = EXTRACTORS["stated_number"](f"so the answer is {value:,}.", ())
    assert found is not None
    assert as_number(found) == value


@pytest.mark.parametrize("fields", [{"extractors": ["guess"]}, {"extractors": []}, {"compare": "roughly"}])
def test_a_parser_with_unknown_rules_is_rejected(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        AnswerParser.model_validate({"extractors": ["first_line"], "compare": "name", **fields})


def test_verdicts_on_gsm8k_agree_with_the_published_ones(real_data: Path) -> None:
    """Uses the published solutions of four systems."""
    (file,) = (one for one in task_files() if one.benchmark == "gsm8k")
    agreed: dict[str, list[bool]] = {}
    path = real_data / "gsm8k" / "example_model_solutions.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        for record in map(json.loads, stream):
            target = record.pop("ground_truth").rsplit("A: ", 1)[1]
            del record["question"]
            for system, answer in record.items():
                for name, parser in file.readings.items():
                    verdict = read(answer["solution"], parser, [target])
                    agreed.setdefault(f"{system}, {name}", []).append(verdict.right == answer["is_correct"])
    assert len(agreed) == 8
    for verdicts in agreed.values():
        assert len(verdicts) == 1319
        assert all(verdicts)
