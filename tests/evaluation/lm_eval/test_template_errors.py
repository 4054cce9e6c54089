"""Errors of templates, named in the words of the file."""

from __future__ import annotations

from typing import Any

import jinja2
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sequela.evaluation.lm_eval.sandbox.rendering import UNBUILDABLE, apply_template
from sequela.evaluation.lm_eval.template_errors import OFFERED, in_words

RECORD: dict[str, Any] = {
    "country": "Peru",
    "year": 3,
    "question": {"stem": "Where?", "choices": [{"label": "A", "text": "x"}]},
    "names": ["a", "b"],
    "note": None,
}

WORDS_OF_JINJA = ("if", "else", "not", "and", "or", "in", "is", "true", "false", "none", "caller")


def words(template: str) -> str:
    with pytest.raises(UNBUILDABLE) as caught:
        apply_template(template, RECORD)
    return in_words(caught.value, RECORD)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{contry}}", "'contry' is not a field of the record (did you mean 'country'?)"),
        ("{{ Country | upper }}", "'Country' is not a field of the record (did you mean 'country'?)"),
        (
            "{% for x in rnage(3) %}{% endfor %}",
            "'rnage' is not a field of the record (did you mean 'range'?)",
        ),
        ("{% if zzzzzz %}{% endif %}", "'zzzzzz' is not a field of the record"),
        ("{{ question.stm }}", "an object has no field 'stm' (did you mean 'stem'?)"),
        ("{{ question['stm'] }}", "an object has no field 'stm' (did you mean 'stem'?)"),
        ("{{ question.choices[0].txt }}", "an object has no field 'txt' (did you mean 'text'?)"),
        ("{{ country.stem }}", "a text has no field 'stem' (did you mean 'stem'?)"),
        ("{{ year.stem }}", "a number has no field 'stem' (did you mean 'stem'?)"),
        ("{{ names[7] }}", "a list has no entry [7], counted from 0"),
        ("{{ note.x }}", "null has no field 'x'"),
    ],
)
def test_a_field_that_is_not_there_is_named_with_the_one_that_was_meant(template: str, expected: str) -> None:
    assert words(template) == expected


@pytest.mark.parametrize("template", ["{{ year + country }}", "{{ 1 // 0 }}", "{{ country | round }}"])
def test_other_errors_keep_their_message_without_the_name_of_the_exception(template: str) -> None:
    assert words(template)
    assert "Error" not in words(template)


@given(st.text(st.characters(categories=("Ll",), max_codepoint=122), min_size=1, max_size=12))
def test_no_message_names_an_exception(name: str) -> None:
    assume(name not in RECORD and name not in OFFERED and name not in WORDS_OF_JINJA)
    assert words(f"{{{{ {name} }}}}").startswith(f"{name!r} is not a field of the record")


def test_an_unknown_record_gives_no_guess() -> None:
    assert in_words(jinja2.UndefinedError("'contry' is undefined")) == "'contry' is not a field of the record"
    assert in_words(KeyError("red")) == "there is no entry 'red'"
    assert in_words(ValueError()) == "ValueError"
