"""Items that can't be asked, and right answers that nothing could match, are reported before a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from sequela.core.errors import BadInputError
from sequela.evaluation.lm_eval.listing import describe_task_file
from sequela.evaluation.lm_eval.suite import HarnessSuite
from sequela.evaluation.suite_description import SuiteDescription
from support.own_task import OWN

GENERATION = yaml.safe_load(OWN)
CHOICES = {
    **{key: GENERATION[key] for key in ("benchmark", "version", "what", "items")},
    "protocol": "answers",
    "harness": {
        "doc_to_text": "Q: {{question}}\nA:",
        "doc_to_choice": "{{choices}}",
        "doc_to_target": "{{label}}",
    },
}
WHOLE: dict[str, Any] = {"question": "Is it so?", "choices": ["yes", "no"], "label": 0}


def write(folder: Path, task: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    """Writes a task file with its items."""
    (folder / "capitals.yaml").write_text(yaml.safe_dump(task), encoding="utf-8")
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "capitals.jsonl").write_text(text, encoding="utf-8")


def version(folder: Path, task: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    """Writes a task file with its items, and builds its prompts."""
    write(folder, task, rows)
    return HarnessSuite(str(folder / "capitals.yaml")).version


def generation(harness: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    return {**GENERATION, **fields, "harness": {**GENERATION["harness"], **(harness or {})}}


def readings(compare: str) -> dict[str, Any]:
    one = {"extractors": ["first_line"], "compare": compare}
    return {"strict": one, "lenient": one}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"country": "Peru", "capital": None}, "the field 'capital' is null"),
        ({"country": None, "capital": "Lima"}, "the field 'country' is null"),
        ({"country": "", "capital": "Lima"}, "the field 'country' is empty, and the prompt would lack it"),
        ({"country": " \n", "capital": "Lima"}, "the field 'country' is empty"),
        ({"country": "\u200b", "capital": "Lima"}, "the field 'country' is empty"),
        ({"country": "\u2060 \ufeff", "capital": "Lima"}, "the field 'country' is empty"),
        ({"country": "Peru", "capital": "\u200d"}, "the right answer (from 'capital') can't be given"),
        ({"country": "Peru", "capital": ""}, "the right answer (from 'capital') can't be given"),
    ],
)
def test_an_item_with_an_unusable_field_is_named(row: dict[str, Any], message: str, tmp_path: Path) -> None:
    rows = [{"country": "Chad", "capital": "N'Djamena"}, row]
    with pytest.raises(BadInputError) as caught:
        version(tmp_path, generation(), rows)
    assert "capitals.jsonl, record 2" in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize("template", ["{{[capital, none]}}", "{{[capital, '']}}", "capital", "{{ [] }}"])
def test_each_of_several_right_answers_is_usable(template: str, tmp_path: Path) -> None:
    rows = [{"country": "Peru", "capital": "Lima"}, {"country": "Chad", "capital": None}]
    with pytest.raises(BadInputError, match=r"capitals\.jsonl, record \d"):
        version(tmp_path, generation({"doc_to_target": template}), rows)


@pytest.mark.parametrize(
    ("compare", "gold", "reason"),
    [
        ("number", "1" * 5000, "no answer could match '1111"),
        ("number", "four", "as a number"),
        ("letter", "Lima", "the options are A, B, C"),
        ("letter", "b", "the options are A, B, C"),
        ("letter", "AB", "the options are A, B, C"),
        ("name_within", " ", "as a name_within"),
    ],
)
def test_a_gold_answer_that_nothing_matches_is_named(
    compare: str, gold: str, reason: str, tmp_path: Path
) -> None:
    rows = [{"country": "Peru", "capital": gold}]
    with pytest.raises(BadInputError) as caught:
        version(tmp_path, generation(readings=readings(compare)), rows)
    assert reason in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("compare", ["words", "answer", "letter"])
@pytest.mark.parametrize("options", ["Options:\n(A) Lima\n(B) Cuzco", "(A) Lima (B) Cuzco"])
def test_a_gold_letter_is_one_of_the_options_in_the_question(
    compare: str, options: str, tmp_path: Path
) -> None:
    def task(gold: str) -> list[dict[str, Any]]:
        return [{"country": f"Peru?\n{options}\n", "capital": gold}]

    form = "{}" if compare == "letter" else "({})"
    right = readings(compare)
    assert version(tmp_path, generation(readings=right), task(form.format("B")))
    if compare == "letter":
        shown = generation({}, readings=right, options="{{['Lima', 'Cuzco']}}")
        with pytest.raises(BadInputError, match="is 'C', and the options are A, B"):
            version(tmp_path, shown, task("C"))
        return
    with pytest.raises(BadInputError, match=r"is '\(C\)', and the options are A, B"):
        version(tmp_path, generation(readings=right), task("(C)"))


def test_a_field_that_may_be_empty_is_written_under_a_condition(tmp_path: Path) -> None:
    text = "{% if hint %}{{hint}} {% endif %}{{ note or '' }}{{ more | default('') }}{{country}}:"
    rows = [
        {"country": "Peru", "capital": "Lima", "hint": "", "note": None, "more": ""},
        {"country": "Chad", "capital": "N'Djamena", "hint": None, "note": "", "more": "x"},
    ]
    assert version(tmp_path, generation({"doc_to_text": text}), rows)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": 2}, "its right choice (from 'label') is 2, expected the index of one of its 2 choices"),
        ({"label": -1}, "is '-1', expected the index"),
        ({"label": None}, "the field 'label' is null"),
        ({"choices": ["yes", ""]}, "choice 2 of 2 is empty"),
        ({"choices": ["yes", None]}, "choice 2 of 2 is null"),
        ({"choices": []}, "0 choices"),
        ({"question": ""}, "the field 'question' is empty"),
    ],
)
def test_choices_and_the_index_of_the_right_one_are_usable(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    assert version(tmp_path, CHOICES, [WHOLE, WHOLE])
    with pytest.raises(BadInputError) as caught:
        version(tmp_path, CHOICES, [WHOLE, {**WHOLE, **change}])
    assert "capitals.jsonl, record 2" in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        (["Lima", ""], "choice 2 of 2 is empty"),
        (["Lima", None], "choice 2 of 2 is null"),
        ([], "0 choices"),
        ([1, 2], "choice 1 of 2 is 1, expected a text"),
        ([["a"], ["b"]], "choice 1 of 2 is ['a'], expected a text"),
        ({"text": ["a", "b"]}, "its choices are {'text': ['a', 'b']}, expected a list"),
        ("Lima", "its choices are 'Lima', expected a list"),
        (42, "its choices are 42, expected a list"),
        (["Lima"], "it has 1 choice"),
        (["Lima", "Quito", "Lima "], "its choices 1 and 3 are the same text, 'Lima '"),
    ],
)
@pytest.mark.parametrize("template", ["choices", "{{choices}}"])
def test_wrong_choices_are_named_with_the_record_in_the_first_item_too(
    template: str, choices: Any, message: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    task = {**CHOICES, "harness": {**CHOICES["harness"], "doc_to_choice": template}}  # type: ignore[dict-item]
    with pytest.raises(BadInputError) as caught:
        version(tmp_path, task, [{**WHOLE, "choices": choices}])
    assert "capitals.jsonl, record 1: " in str(caught.value)
    assert message in str(caught.value)
    assert not caplog.records


@pytest.mark.parametrize("question", [["a"], {"a": "b"}])
@pytest.mark.parametrize("template", ["{{question}}", "question", "Q: {{ question }}"])
def test_a_question_is_a_text(template: str, question: Any, tmp_path: Path) -> None:
    task = {**CHOICES, "harness": {**CHOICES["harness"], "doc_to_text": template}}  # type: ignore[dict-item]
    with pytest.raises(
        BadInputError, match=r"record 1: (the field 'question'|the prompt) is .*expected a text"
    ):
        version(tmp_path, task, [{**WHOLE, "question": question}])
    joined = {**CHOICES, "harness": {**CHOICES["harness"], "doc_to_text": "{{question | join}}"}}  # type: ignore[dict-item]
    assert version(tmp_path, joined, [{**WHOLE, "question": question}])


@pytest.mark.parametrize("options", ["x", "{{country}}", "{{[1, 2]}}", "{{ {'a': 1} }}"])
def test_options_that_are_no_list_of_texts_are_named(options: str, tmp_path: Path) -> None:
    task = generation(readings=readings("letter"), options=options)
    with pytest.raises(BadInputError, match=r"record 1: .*options is .*expected a list of texts"):
        version(tmp_path, task, [{"country": "Peru", "capital": "A"}])


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ 1 / 0 }}", ": division by zero)"),
        ("{{ range(999999) }}", "Range too big"),
        ("{{ missing }}", "'missing' is not a field of the record"),
        ("{{ question.__class__ }}", "unsafe"),
        ("{{ question.upper }}", "the function 'upper' without calling it"),
    ],
)
@pytest.mark.parametrize(
    "field", ["doc_to_text", "doc_to_target", "doc_to_choice", "gen_prefix", "description"]
)
def test_an_error_of_a_template_names_its_field(
    field: str, template: str, reason: str, tmp_path: Path
) -> None:
    task = {**CHOICES, "harness": {**CHOICES["harness"], field: template}}  # type: ignore[dict-item]
    with pytest.raises(BadInputError) as caught:
        version(tmp_path, task, [WHOLE])
    assert f"record 1: no prompt can be built from it (harness.{field} of the task 'capitals': " in str(
        caught.value
    )
    assert reason in str(caught.value)


LABELED = {"question": "A?", "mc": {"choices": ["b", "cc"], "labels": [1, 0]}}
OF_LABELS = {
    "doc_to_text": "{{question}}",
    "doc_to_choice": "{{mc.choices}}",
    "doc_to_target": "{{mc.labels.index(1)}}",
}


@pytest.mark.parametrize("key", ["targets", "shuffled"])
@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("nope", {}, "the field 'nope' is missing"),
        ("question", {}, "the field 'question' is 'A?', expected an object with `choices` and `labels`"),
        ("mc", {"choices": ["b", "c"]}, "expected an object with `choices` and `labels`"),
        (
            "mc",
            {"choices": ["b", "c"], "labels": [7, 0]},
            "the labels of 'mc' are [7, 0], expected a list of 0",
        ),
        ("mc", {"choices": ["b", "c"], "labels": [True, False]}, "the labels of 'mc' are [True, False]"),
        ("mc", {"choices": ["b", "c"], "labels": 1}, "the labels of 'mc' are 1"),
        ("mc", {"choices": ["b", "c"], "labels": [1]}, "the field 'mc' has 2 choices and 1 labels"),
        ("mc", {"choices": ["b", "c"], "labels": [0, 0]}, "the field 'mc' has no choice with the label 1"),
        ("mc", {"choices": ["b", ""], "labels": [1, 0]}, "the choices of 'mc' are ['b', '']"),
        ("mc", {"choices": "bc", "labels": [1, 0]}, "the choices of 'mc' are 'bc'"),
    ],
)
def test_labeled_choices_are_checked_wherever_they_are_read(
    key: str, field: str, value: Any, message: str, tmp_path: Path
) -> None:
    named: Any = field if key == "targets" else [field]
    task = {**CHOICES, "harness": OF_LABELS, key: named}
    wrong = {**LABELED, "mc": value} if value else LABELED
    for check in (version, described):
        with pytest.raises(BadInputError) as caught:
            check(tmp_path, task, [wrong])
        assert caught.value.message.startswith("capitals.jsonl, record 1: ")
        assert message in caught.value.message
        assert f"under `{key}`" in str(caught.value.hint)


def described(folder: Path, task: dict[str, Any], rows: list[dict[str, Any]]) -> SuiteDescription:
    """Writes a task file with its items, and describes it as a listing does."""
    write(folder, task, rows)
    (one,) = describe_task_file(str(folder / "capitals.yaml"))
    return one


def test_labeled_choices_of_own_items_are_shuffled_where_the_file_says_so(tmp_path: Path) -> None:
    task = {**CHOICES, "harness": OF_LABELS, "targets": "mc", "metrics": ["accuracy"]}
    rows = [{**LABELED, "question": f"Question {n}?"} for n in range(8)]
    assert described(tmp_path, task, rows).constants == {"the shortest choice": 1.0}

    def right(**fields: Any) -> list[int]:
        write(tmp_path, {**task, **fields}, rows)
        (built,) = HarnessSuite(str(tmp_path / "capitals.yaml")).tasks
        documents = built.task.eval_docs
        assert [built.task.doc_to_choice(one)[built.task.doc_to_target(one)] for one in documents] == [
            "b"
        ] * 8
        return [built.task.doc_to_target(one) for one in documents]

    assert right() == [0] * 8
    assert set(right(shuffled=["mc"])) == {0, 1}


def test_a_question_with_two_right_answers_is_remarked(tmp_path: Path) -> None:
    def note(*rows: dict[str, Any]) -> str:
        write(tmp_path, CHOICES, list(rows))
        return HarnessSuite(str(tmp_path / "capitals.yaml")).tasks[0].note

    remark, same = (
        f"1 question is asked more than once, with {which}"
        for which in ("different right answers", "the same right answer")
    )
    assert same in note(WHOLE, WHOLE)
    assert same not in note(WHOLE, {**WHOLE, "question": "Was it so?"})
    assert remark in note(WHOLE, {**WHOLE, "label": 1})
    assert remark in note(WHOLE, {**WHOLE, "choices": ["no", "yes"]})
    assert remark not in note(WHOLE, WHOLE, {**WHOLE, "choices": ["no", "yes"], "label": 1})
    assert remark not in note(WHOLE, {**WHOLE, "choices": ["yes", "maybe"], "label": 1})


@pytest.mark.parametrize("field", ["fewshot_split", "fewshot_config"])
def test_a_split_of_examples_that_does_not_exist_is_named(field: str, tmp_path: Path) -> None:
    value: Any = "train" if field == "fewshot_split" else {"split": "train"}
    with pytest.raises(
        BadInputError, match=rf"harness\.{field}.* is 'train', and its data have no such split"
    ):
        version(tmp_path, generation({field: value}, shots=1), [{"country": "Peru", "capital": "Lima"}] * 2)


@pytest.mark.parametrize("target", ["label", "{{label}}"])
@pytest.mark.parametrize("label", [True, "yes", "0.5", [0]])
def test_the_index_of_the_right_choice_is_a_whole_number(target: str, label: Any, tmp_path: Path) -> None:
    task = {**CHOICES, "harness": {**CHOICES["harness"], "doc_to_target": target}}  # type: ignore[dict-item]
    with pytest.raises(BadInputError, match=r"capitals\.jsonl, record 1: its right choice"):
        version(tmp_path, task, [{**WHOLE, "label": label}])


def test_the_number_of_an_item_counts_those_that_are_examples(tmp_path: Path) -> None:
    rows = [{"country": f"Country {n}", "capital": "Lima"} for n in range(4)]
    rows[3]["capital"] = ""
    with pytest.raises(BadInputError, match=r"capitals\.jsonl, record 4: the right answer"):
        version(tmp_path, generation(shots=2), rows)
    with pytest.raises(BadInputError, match=r"capitals\.jsonl, item 1: the right answer"):
        version(tmp_path, generation(shots=2), rows[::-1])


@pytest.mark.parametrize(
    ("field", "template", "reason"),
    [
        ("doc_to_text", "{{ question|regex_replace('(', 'b') }}", "the pattern '(' can't be replaced by 'b'"),
        ("doc_to_text", "{{question}}{{ '\\ud800' }}", "it writes half of a surrogate pair, \\ud800"),
        ("doc_to_text", "{{question}}{{ '%c'|format(0) }}", "it writes a NUL character"),
        ("doc_to_choice", "{{ ['yes', '\\udfff'] }}", "it writes half of a surrogate pair, \\udfff"),
        ("doc_to_choice", "{{ ['yes', '\\x00'] }}", "it writes a NUL character"),
        ("doc_to_choice", ["{{ question }}", "{{ '\\x00' }}"], "it writes a NUL character"),
        ("gen_prefix", "{{ '%c' % 56320 }}", "it writes half of a surrogate pair, \\udc00"),
    ],
)
def test_what_a_template_makes_is_checked_in_every_field(
    field: str, template: str | list[str], reason: str, tmp_path: Path
) -> None:
    task = {**CHOICES, "harness": {**CHOICES["harness"], field: template}}
    with pytest.raises(BadInputError) as caught:
        version(tmp_path, task, [WHOLE])
    assert f"capitals.jsonl, record 1: no prompt can be built from it (harness.{field}" in str(caught.value)
    assert reason in str(caught.value)


@pytest.mark.parametrize("target", ["{{ ['Lima', '\\udfff'] }}", "{{ '%c' % 0 }}"])
def test_a_right_answer_that_a_template_makes_is_checked(target: str, tmp_path: Path) -> None:
    rows = [{"country": "Peru", "capital": "Lima"}]
    with pytest.raises(BadInputError, match=r"record 1: .*harness\.doc_to_target .*it writes"):
        version(tmp_path, generation({"doc_to_target": target}), rows)


@pytest.mark.parametrize("choice", ["", " ", "\u200b", "\u2060\ufeff", "\u00ad"])
def test_a_choice_without_a_visible_character_is_named(choice: str, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="record 2: choice 2 of 2 is empty"):
        version(tmp_path, CHOICES, [WHOLE, {**WHOLE, "question": "Was it?", "choices": ["yes", choice]}])
