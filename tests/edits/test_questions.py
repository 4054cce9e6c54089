"""The questions of edits: which edits ask the same one, and which are in force."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sequela.core.errors import BadInputError
from sequela.edits import Edit, EditsInForce, Questions
from sequela.edits.questions import punctuation_matters, question_key, same_answer, same_answer_by_spelling


def capital(id_: str, target: str, **changes: object) -> Edit:
    fields = {"id": id_, "subject": "France", "prompt": "The capital of {} is", "target_new": target}
    return Edit.model_validate({**fields, **changes})


ROME, OSLO, ROME_AGAIN = capital("a", "Rome"), capital("b", "Oslo"), capital("c", "Rome")
LIMA = capital("d", "Lima", subject="Peru")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Paris", "paris"),
        ("Paris", " Paris."),
        ("the Netherlands", "Netherlands"),
        ("“Yes”", "yes"),
        ("New  York", "New\u00a0York"),
        ("Zu\u0308rich", "Z\u00fcrich"),
        ("Ｏｓｌｏ", "Oslo"),
        ("The", "the"),
        ("!!!", "!!!"),
        ("Coca\u2011Cola", "Coca-Cola"),
        ("\u22123", "-3"),
        ("1939\u20131945", "1939-1945"),
        ("Côte d\u2019Ivoire", "Côte d'Ivoire"),
        ("12,345,678", "12345678"),
        ("27 March, 1943", "27 March 1943"),
    ],
)
def test_answers_that_are_written_differently_are_the_same(one: str, other: str) -> None:
    assert same_answer(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Paris", "Rome"),
        ("C#", "C"),
        ("C++", "C"),
        ("-3", "3"),
        ("5%", "5"),
        ("!!!", "???"),
        ("Rome", "Romeo"),
        ("3,14", "314"),
        ("3.5", "35"),
        ("1,2345", "12345"),
        ("1939-1945", "1939 1945"),
        ("can't", "cant"),
    ],
)
def test_other_answers_are_not_the_same(one: str, other: str) -> None:
    assert not same_answer(one, other)


@given(st.text(max_size=20), st.text(max_size=20))
def test_rules_of_spelling_only_add_to_the_earlier_ones(one: str, other: str) -> None:
    assert same_answer(one, one)
    assert same_answer(one, other) == same_answer(other, one)
    assert not same_answer_by_spelling(one, one)
    assert same_answer_by_spelling("1,000", "1000")


@given(st.text(max_size=20))
def test_a_question_is_the_same_in_another_case_form_and_spacing(text: str) -> None:
    key = question_key(text)
    assert question_key(f"  {text} ") == key
    assert question_key(unicodedata.normalize("NFD", text)) == key
    assert question_key(key) == key


def test_a_later_edit_of_the_same_question_supersedes_the_earlier_ones() -> None:
    questions = Questions([ROME, LIMA, OSLO, ROME_AGAIN])
    assert questions.count == 2
    assert [[edit.id for edit in same] for same in questions.repeated()] == [["a", "b", "c"]]

    def superseded(n_edits: int) -> list[str]:
        in_force = EditsInForce(questions, n_edits)
        return [edit.id for edit in questions.edits[:n_edits] if in_force.superseding(edit)]

    assert [superseded(n) for n in range(5)] == [[], [], [], ["a"], ["a", "b"]]
    last = EditsInForce(questions, 4).superseding(ROME)
    assert last is not None
    assert last.id == "c"


def test_an_edit_that_was_not_applied_supersedes_nothing() -> None:
    questions = Questions([ROME, OSLO])
    assert EditsInForce(questions, 2, frozenset({"b"})).superseding(ROME) is None
    assert EditsInForce(questions, 2, frozenset({"a"})).superseding(ROME) == OSLO
    found = EditsInForce(questions, 2, frozenset({"b"})).asking("The capital of France is")
    assert found == ROME


def test_nothing_is_in_force_on_the_unedited_model() -> None:
    nothing = EditsInForce.of(())
    assert nothing.superseding(ROME) is None
    assert nothing.asking(ROME.question) is None


@pytest.mark.parametrize(
    "prompt", ["The capital of {} is ", "the capital of {} is", "The  capital of {} is"], ids=repr
)
def test_differences_in_case_and_space_make_no_other_question(prompt: str) -> None:
    assert len(Questions([ROME, capital("b", "Oslo", prompt=prompt)]).repeated()) == 1


def test_the_same_subject_and_relation_are_the_same_question() -> None:
    first = capital("a", "Rome", relation="P36")
    other_words = capital("b", "Oslo", prompt="{} is governed from", relation="P36")
    other_relation = capital("c", "Euro", prompt="{} pays in", relation="P38")
    other_subject = capital("d", "Lima", subject="Peru", relation="P36")
    without = capital("e", "Bern", prompt="{} is governed from the city of")
    questions = Questions([first, other_words, other_relation, other_subject, without])
    assert questions.repeated() == [(first, other_words)]


def test_questions_that_share_a_text_or_a_fact_in_a_chain_are_one() -> None:
    chain = [
        capital("a", "Rome", prompt="{} is governed from", relation="P36"),
        capital("b", "Oslo", relation="P36"),
        capital("c", "Bern"),
    ]
    assert Questions(chain).repeated() == [tuple(chain)]


def test_a_prompt_asks_an_edit_in_its_words_in_a_paraphrase_or_in_the_words_of_its_relation() -> None:
    paris = capital("a", "Rome", relation="P36", paraphrases=("France is ruled from",))
    peru = capital("b", "Oslo", subject="Peru", prompt="{} is governed from", relation="P36")
    in_force = EditsInForce.of([paris, peru])
    assert in_force.asking("The capital of France is") == paris
    assert in_force.asking("France is ruled from") == paris
    assert in_force.asking("France is governed from", "P36") == paris
    assert in_force.asking("The capital of Peru is", "P36") == peru
    assert in_force.asking("The capital of Peru is") is None  # the relation of the prompt is unknown
    assert in_force.asking("The capital of Peru is", "P38") is None
    assert in_force.asking("The capital of Chile is", "P36") is None
    before = EditsInForce(in_force.questions, 1)
    assert before.asking("The capital of Peru is", "P36") is None


def test_the_relation_is_no_part_of_the_hash_that_names_a_trajectory() -> None:
    assert capital("a", "Rome", relation="P36").content_hash == ROME.content_hash


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is the capital of Peru?", "What is the capital of Peru"),
        ("The capital of Peru is:", "the capital  of Peru is"),
        ("¿Cuál es la capital de Perú?", "Cuál es la capital de Perú"),
        ("法国的首都是？", "法国的首都是"),
        ("Who founded Apple Inc.", "Who founded Apple Inc?"),
    ],
)
def test_punctuation_around_a_question_does_not_count(one: str, other: str) -> None:
    assert question_key(one) == question_key(other)
    assert question_key(question_key(one)) == question_key(one)


@pytest.mark.parametrize(
    ("one", "other"),
    [("What is C++?", "What is C?"), ("?", "!"), ("Is it -3", "Is it 3"), ("He said 5%", "He said 5")],
)
def test_signs_of_a_question_count(one: str, other: str) -> None:
    assert question_key(one) != question_key(other)


def test_a_subject_with_a_point_at_its_end_is_found_in_each_form() -> None:
    apple = capital("a", "Ada", subject="Apple Inc.", prompt="Who founded {}?", relation="R")
    other = capital("b", "Bob", subject="Bell Ltd.", prompt="{} was founded by", relation="R")
    questions = Questions([apple, other])
    assert questions.rewording("Apple Inc. was founded by", "R") == [(0, apple)]
    assert questions.rewording("Who founded Bell Ltd.?", "R") == [(1, other)]


def test_punctuation_matters_only_if_it_joins_questions() -> None:
    asked, bare = capital("a", "Rome", prompt="The capital of {} is?"), capital("b", "Oslo")
    assert not punctuation_matters([asked, LIMA])
    assert punctuation_matters([asked, bare])
    assert punctuation_matters(
        [bare, capital("c", "Lima", subject="Peru", neighborhood=[{"prompt": asked.question}])]
    )
    same = capital("c", "Lima", subject="Peru", neighborhood=[{"prompt": bare.question}])
    assert not punctuation_matters([bare, same])


@pytest.mark.parametrize("field", ["target_new", "subject", "target_true", "prompt", "id"])
@pytest.mark.parametrize("text", ["\u200b", "\u0301", "\u00ad \ufeff", "\u200d\u0300"])
def test_a_text_without_a_visible_character_is_refused(field: str, text: str) -> None:
    with pytest.raises(BadInputError, match="has no visible character"):
        Edit(**{"id": "a", "subject": "France", "prompt": "{} is", "target_new": "Rome", field: text})


@pytest.mark.parametrize("text", ["e\u0301", "नमस्ते", "🇫🇷", "a\u200db"])
def test_marks_and_joiners_within_a_text_are_kept(text: str) -> None:
    assert capital("a", text).target_new == text


def test_a_target_is_no_document_and_a_subject_no_placeholder() -> None:
    assert capital("a", "x" * 20_000)
    with pytest.raises(ValidationError, match="has 1,000,000 characters"):
        capital("a", "x" * 1_000_000)
    with pytest.raises(ValidationError, match="the placeholder for a subject"):
        capital("a", "Rome", subject="{}")
