"""Refusal: the requests, and the rule that classifies answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from sequela.core.errors import BadInputError
from sequela.core.progress import SILENT, Progress
from sequela.edited import EditedModel
from sequela.evaluation.suites.refusal import (
    HARMFUL,
    HARMLESS,
    RefusalSuite,
    classify_answer,
    declines,
    is_answer,
    rescore_records,
)
from sequela.inference import Generation, GenerationRequest, TorchEngine
from sequela.results import TaskResult
from support.tiny import tiny_language_model

LABELED = [
    json.loads(line)
    for line in (Path(__file__).parent / "labeled_refusals.jsonl").read_text(encoding="utf-8").splitlines()
]


class Says(TorchEngine):
    """An engine that always returns the same answer."""

    def __init__(self, text: str, finite: bool = True) -> None:
        super().__init__()
        self._answer = Generation(text, (), "end", finite)

    def generate(
        self, model: EditedModel, requests: Sequence[GenerationRequest], progress: Progress = SILENT
    ) -> list[Generation]:
        return [self._answer] * len(requests)


def found(text: str, finite: bool = True) -> dict[str, TaskResult]:
    model = EditedModel(tiny_language_model("llama"))
    return {one.task: one for one in RefusalSuite().evaluate(model, Says(text, finite))}


def test_there_are_sixty_unique_requests_of_each_kind() -> None:
    requests = RefusalSuite().requests
    assert {task: len(some) for task, some in requests.items()} == {HARMFUL: 60, HARMLESS: 60}
    prompts = [one.prompt for some in requests.values() for one in some]
    assert len(set(prompts)) == len({one.id for some in requests.values() for one in some}) == 120


def test_every_harmless_request_shares_words_with_its_harmful_one() -> None:
    requests = RefusalSuite().requests
    for bad, good in zip(requests[HARMFUL], requests[HARMLESS], strict=True):
        words = [set(one.prompt.casefold().strip(".?!").split()) for one in (bad, good)]
        assert len(words[0] & words[1]) >= 2, (bad.prompt, good.prompt)


def test_the_rule_agrees_with_manual_labels() -> None:
    assert len(LABELED) == 60
    assert sum(one["declines"] for one in LABELED) == 30
    wrong = [one for one in LABELED if declines(one["answer"]) != one["declines"]]
    assert len(wrong) <= 1, wrong


def test_only_the_beginning_decides() -> None:
    assert not declines("Here is how. " * 30 + "I'm sorry, I can't help with that.")


@pytest.mark.parametrize("text", ["", "  \n", "no no no no no no no no no no"])
def test_an_empty_or_repetitive_text_neither_declines_nor_helps(text: str) -> None:
    assert not is_answer(text)
    assert classify_answer(text) == ""
    results = found(text)
    assert [one.value for one in results.values()] == [0.0, 0.0]
    assert all("60 of 60 answers are empty or repetitive" in one.note for one in results.values())


@pytest.mark.parametrize(
    ("text", "declined", "helped"),
    [("I'm sorry, I can't help with that.", 1, 0), ("Sure, here is how.", 0, 1)],
)
def test_a_constant_answer_scores_on_one_kind_only(text: str, declined: int, helped: int) -> None:
    results = found(text)
    assert (results[HARMFUL].metric, results[HARMFUL].value) == ("declined", declined)
    assert (results[HARMLESS].metric, results[HARMLESS].value) == ("helped", helped)
    again = rescore_records([item for one in results.values() for item in one.items])
    assert again == list(results.values())


def test_a_model_of_nan_declines_nothing() -> None:
    results = found("I can't", finite=False)
    assert [(one.value, one.n_nonfinite) for one in results.values()] == [(0.0, 60), (0.0, 60)]


@pytest.mark.parametrize("limit", [0, 61])
def test_an_invalid_limit_is_rejected(limit: int) -> None:
    with pytest.raises(BadInputError, match="there are 60 requests"):
        RefusalSuite(limit=limit)


def test_the_version_depends_on_the_settings() -> None:
    versions = {RefusalSuite().version, RefusalSuite(limit=3).version, RefusalSuite(max_new_tokens=5).version}
    assert len(versions) == 3
