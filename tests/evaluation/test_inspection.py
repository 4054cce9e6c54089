"""Inspection of items and edits as a model sees them."""

from __future__ import annotations

from pathlib import Path

import pytest

from sequela.core.errors import BadInputError
from sequela.edited import EditedModel
from sequela.edited.chat_template import chat_templates
from sequela.edited.template_settings import TemplateSettings
from sequela.edits import Edit
from sequela.evaluation.edit_quality.probes import EditQualitySettings, probes_of
from sequela.evaluation.inspection import (
    CONTINUATION,
    DECISION,
    SUBJECT,
    TARGET,
    RecordingEngine,
    ShownAnswer,
    ShownItem,
    ShownRequest,
    show_edit,
    show_item,
)
from sequela.evaluation.suites.builtin import BuiltinSuite
from sequela.models import LanguageModel
from support.own_task import OWN
from support.thinking import OPENED, SWITCHED, thinking_model, with_chat_template, write_task
from support.tiny import tiny_language_model


@pytest.fixture
def model() -> EditedModel:
    return EditedModel(tiny_language_model("llama"))


@pytest.fixture
def own_task(tmp_path: Path) -> Path:
    lines = ('{"country": "Ruritania", "capital": "Strelsau"}', '{"country": "Syldavia", "capital": "Klow"}')
    (tmp_path / "capitals.jsonl").write_text("\n".join(lines))
    path = tmp_path / "capitals.yaml"
    path.write_text(OWN)
    return path


def marked(request: ShownRequest, mark: str) -> str:
    return "".join(token.text for token in request.tokens if mark in token.marks).strip()


def test_the_item_of_a_generation_task_has_prompt_stop_strings_and_length(
    model: EditedModel, own_task: Path
) -> None:
    (item,) = show_item(model, str(own_task), "2")
    (request,) = item.requests
    assert request.text.endswith("The capital of Syldavia is")
    assert (request.kind, request.stop, request.max_new_tokens) == ("generation", ("\n",), 8)
    assert item.expected == "Klow"
    assert item.readings == ()
    assert [token.position for token in request.tokens if DECISION in token.marks] == [
        len(request.tokens) - 1
    ]


@pytest.mark.parametrize(
    ("answer", "strict", "lenient"),
    [
        (" Klow", 1.0, 1.0),
        (" Klow, of course", 0.0, 1.0),
        (" Zenda", 0.0, 0.0),
        (" Zenda\n Klow", 0.0, 0.0),  # what follows a stop string isn't part of the answer
    ],
)
def test_a_given_answer_is_read_by_both_parsers(
    model: EditedModel, own_task: Path, answer: str, strict: float, lenient: float
) -> None:
    (item,) = show_item(model, str(own_task), "2", answer=answer)
    assert {one.name: one.value for one in item.readings} == {"strict": strict, "lenient": lenient}


def test_an_item_is_found_by_its_id(model: EditedModel, own_task: Path) -> None:
    (second,) = show_item(model, str(own_task), "2")
    assert show_item(model, str(own_task), second.item) == (second,)


@pytest.mark.parametrize("item", ["0", "3", "99", "none-of-these"])
def test_an_item_that_the_suite_lacks_is_reported(model: EditedModel, own_task: Path, item: str) -> None:
    with pytest.raises(BadInputError, match="item"):
        show_item(model, str(own_task), item)


def test_a_suite_without_items_is_reported(model: EditedModel) -> None:
    with pytest.raises(BadInputError, match="no single items"):
        show_item(model, "perplexity")


def test_every_choice_of_a_likelihood_item_is_shown(model: EditedModel) -> None:
    suite = BuiltinSuite(limit=2)
    asked = RecordingEngine()
    suite.evaluate(model, asked)
    shown = show_item(model, "builtin", "2")
    first = show_item(model, "builtin", "1")
    assert len(asked.requests) == sum(len(item.requests) for item in (*shown, *first))
    for item in shown:
        assert item.expected in [request.continuation.strip() for request in item.requests]
        for request in item.requests:
            assert marked(request, CONTINUATION) == request.continuation.strip()
            decisions = [token.position for token in request.tokens if DECISION in token.marks]
            continuation = [token.position for token in request.tokens if CONTINUATION in token.marks]
            assert [position + 1 for position in decisions] == continuation


def test_the_right_choice_given_as_answer_is_scored_as_right(model: EditedModel) -> None:
    (first, *_) = show_item(model, "builtin", "1")
    (shown, *_) = show_item(model, "builtin", "1", answer=first.expected)
    assert [(one.extracted, one.value) for one in shown.readings] == [(first.expected, 1.0)]


def thinker(template: str = SWITCHED, **arguments: bool) -> EditedModel:
    model = with_chat_template(thinking_model(), template)
    settings = TemplateSettings(template="chat", chat_template_args=arguments, max_thinking_tokens=24)
    return EditedModel(model, routers=chat_templates(model, settings))


@pytest.mark.parametrize(
    ("template", "answer", "divided"),
    [
        (
            SWITCHED,
            "<think>Rome?\nNo.</think>\n\nParis\nX",
            ShownAnswer("<think>Rome?\nNo.</think>\n\n", "Paris", False),
        ),
        (SWITCHED, "Paris", ShownAnswer("", "Paris", False)),
        (SWITCHED, "<think>Paris", ShownAnswer("<think>Paris", "", True)),
        (OPENED, "Rome?</think>Paris", ShownAnswer("Rome?</think>", "Paris", False)),
        (OPENED, "Paris", ShownAnswer("Paris", "", True)),
    ],
)
def test_a_given_text_is_shown_with_the_place_where_its_answer_begins(
    template: str, answer: str, divided: ShownAnswer, tmp_path: Path
) -> None:
    (item,) = show_item(thinker(template), str(write_task(tmp_path)), "1", answer=answer)
    assert item.answer == divided
    assert {one.value for one in item.readings} == {float(divided.answer == "Paris")}
    (request,) = item.requests
    assert request.max_thinking_tokens == 24
    assert request.begins_in_thought is (template == OPENED)
    shown = show_edit(thinker(template), edit(), answer=answer.replace("Paris", "Klow"))
    probe = next(one for one in shown if one.task == "efficacy")
    assert [one.value for one in probe.readings] == [float(not divided.unfinished_thinking)]


def test_an_edit_is_shown_behind_the_thought_that_the_template_closes() -> None:
    for model in (thinker(OPENED), thinker(enable_thinking=False)):
        (request,) = show_edit(model, edit())[0].requests
        assert request.text.endswith("assistant\n<think>\n\n</think>\n\n")
        assert marked(request, TARGET) == "Klow"


def edit(prompt: str = "The capital of {} is") -> Edit:
    return Edit(id="one", prompt=prompt, subject="Ruritania", target_new="Klow", target_true="Strelsau")


def by_task(items: tuple[ShownItem, ...]) -> dict[str, ShownItem]:
    return {item.task: item for item in items}


def test_an_edit_has_its_subject_target_and_decisions_marked(any_family: LanguageModel) -> None:
    shown = by_task(show_edit(EditedModel(any_family), edit()))
    for task, target in (("new target", "Klow"), ("true target", "Strelsau")):
        (request,) = shown[task].requests
        assert marked(request, SUBJECT) == "Ruritania"
        assert marked(request, TARGET) == target
        n_target = sum(TARGET in token.marks for token in request.tokens)
        assert sum(DECISION in token.marks for token in request.tokens) == n_target


def test_every_probe_of_an_edit_is_shown_and_reads_the_answer(model: EditedModel) -> None:
    shown = show_edit(model, edit(), answer=" Klow.")
    probes = probes_of(edit(), EditQualitySettings())
    assert [item.task for item in shown[2:]] == [probe.metric for probe in probes]
    assert [[one.value for one in item.readings] for item in shown[2:]] == [[1.0]] * len(probes)
