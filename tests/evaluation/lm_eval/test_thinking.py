"""Models that think before they answer: with templates of Qwen3's kind, thinking on, off and cut short."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sequela.edited import EditedModel
from sequela.edited.chat_template import chat_templates
from sequela.edited.template_settings import TemplateSettings
from sequela.evaluation.lm_eval.generation_scoring import score_generation_item
from sequela.evaluation.lm_eval.suite import HarnessSuite
from sequela.inference import TorchEngine
from sequela.models import LanguageModel
from sequela.results import ItemRecord, TaskResult
from support.thinking import OPENED, SWITCHED, thinking_model, with_chat_template, write_task

LIMIT = 24


@pytest.fixture
def task(tmp_path: Path) -> HarnessSuite:
    return HarnessSuite(str(write_task(tmp_path)))


def evaluated(task: HarnessSuite, template: str, limit: int = LIMIT, **arguments: Any) -> list[TaskResult]:
    settings = TemplateSettings(template="chat", chat_template_args=arguments, max_thinking_tokens=limit)
    model = with_chat_template(thinking_model(), template)
    return task.evaluate(EditedModel(model, routers=chat_templates(model, settings)), TorchEngine())


def by_country(results: list[TaskResult]) -> dict[str, ItemRecord]:
    (accuracy,) = (one for one in results if one.metric == "accuracy")
    return {item.prompt.split()[-1].rstrip(":"): item for item in accuracy.items}


@pytest.mark.parametrize(
    ("template", "thoughts"),
    [
        (SWITCHED, ("<think>Rome?\nNo.</think>\n\n", "<think>Oslo", "")),
        (OPENED, ("Rome?\nNo.</think>\n\n", "Oslo", "</think>")),
    ],
)
def test_what_stands_before_the_mark_is_not_read(
    template: str, thoughts: tuple[str, str, str], task: HarnessSuite
) -> None:
    results = evaluated(task, template)
    items = by_country(results)
    france, italy, norway = items["France"], items["Italy"], items["Norway"]
    assert (france.thinking, france.answer, france.value) == (thoughts[0], "Paris", 1.0)
    assert (norway.thinking, norway.answer, norway.value) == (thoughts[2], "Oslo", 1.0)
    assert (italy.answer, italy.value, italy.unfinished_thinking) == ("", 0.0, LIMIT)
    assert italy.thinking.startswith(thoughts[1])
    assert all(reading["extracted"] is None for reading in italy.details["readings"].values())
    for result in results:
        if result.n == 3:
            assert (result.n_unfinished_thinking, result.n_too_long, result.n_failed) == (1, 0, 0)
    (accuracy,) = (one for one in results if one.metric == "accuracy")
    assert f"1 of 3 thoughts were not finished within {LIMIT} tokens" in accuracy.note
    assert "raise max_thinking_tokens" in accuracy.note


def test_thinking_that_is_switched_off_leaves_only_the_answer(task: HarnessSuite) -> None:
    results = evaluated(task, SWITCHED, enable_thinking=False)
    assert {country: item.answer for country, item in by_country(results).items()} == {
        "France": "Paris",
        "Italy": "Rome",
        "Norway": "Oslo",
    }
    assert all(one.n_unfinished_thinking == 0 and "thought" not in one.note for one in results)


def test_a_limit_that_cuts_a_thought_is_no_answer_and_a_sufficient_one_is(task: HarnessSuite) -> None:
    few, enough = (by_country(evaluated(task, SWITCHED, limit))["France"] for limit in (3, LIMIT))
    assert (few.answer, few.value, few.unfinished_thinking) == ("", 0.0, 3)
    assert (enough.answer, enough.value, enough.unfinished_thinking) == ("Paris", 1.0, None)


def test_a_stored_thought_is_not_read_when_it_is_scored_again(task: HarnessSuite) -> None:
    (parsers,) = (one.file.readings for one in task.tasks)
    for item in by_country(evaluated(task, SWITCHED)).values():
        assert score_generation_item(item, parsers) == item


def test_a_model_with_thinking_off_is_another_than_one_with_it_on() -> None:
    model: LanguageModel = thinking_model()
    hashes = {
        EditedModel(
            model,
            routers=chat_templates(
                model,
                TemplateSettings(template="chat", chat_template_args=arguments, max_thinking_tokens=limit),
            ),
        ).content_hash
        for arguments in ({}, {"enable_thinking": False})
        for limit in (8, 9)
    }
    # With thinking switched off there is no thinking that could be limited.
    assert len(hashes) == 3
