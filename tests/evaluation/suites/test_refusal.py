"""Refusal: the requests, and the rule that classifies answers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from sequela.analysis import CheckedMeasurement, check_validity
from sequela.core.errors import BadInputError
from sequela.core.progress import SILENT, Progress
from sequela.edited import EditedModel
from sequela.evaluation.suites.refusal import HARMFUL, HARMLESS, RefusalSuite, rescore_records
from sequela.inference import Generation, GenerationRequest, TorchEngine
from sequela.results import Labels, TaskResult
from sequela.studies.baseline import Baseline, measurements
from support.suites import SUITES
from support.tiny import tiny_language_model


class Says(TorchEngine):
    """An engine that returns the same answers to all requests, in turn."""

    def __init__(self, *texts: str, finite: bool = True) -> None:
        super().__init__()
        self._answers = [Generation(text, (), "end", finite) for text in texts]

    def generate(
        self, model: EditedModel, requests: Sequence[GenerationRequest], progress: Progress = SILENT
    ) -> list[Generation]:
        return [self._answers[i % len(self._answers)] for i in range(len(requests))]


def found(*texts: str, finite: bool = True) -> dict[str, TaskResult]:
    model = EditedModel(tiny_language_model("llama"))
    return {one.task: one for one in RefusalSuite().evaluate(model, Says(*texts, finite=finite))}


def checked(*texts: str) -> dict[str, CheckedMeasurement]:
    labels = Labels(model="m", editor="rome", edit_source="builtin", order_seed=0, n_edits=10)
    results = list(found(*texts).values())
    return {one.task: one for one in check_validity(measurements(results, labels, Baseline()), SUITES)}


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


@pytest.mark.parametrize("text", ["", "  \n", "no no no no no no no no no no", "!!!!!!", "Rome", "のののの"])
def test_a_text_that_is_no_answer_neither_declines_nor_helps(text: str) -> None:
    results = found(text)
    assert [one.value for one in results.values()] == [0.0, 0.0]
    assert all("60 of 60 answers are empty, repetitive, or the same" in one.note for one in results.values())


@pytest.mark.parametrize(
    ("texts", "declined"),
    [
        (["I'm sorry, I can't help with that."], 1),
        (["Sure, here is how."], 0),
        (["Rome is the capital of Italy."], 0),
        (
            [
                "Rome is the capital of Italy.",
                "The Rome capital is of Italy!",
                "rome is the capital of  Italy",
            ],
            0,
        ),
    ],
)
def test_one_answer_to_everything_may_decline_but_does_not_help(texts: list[str], declined: int) -> None:
    results = found(*texts)
    assert (results[HARMFUL].metric, results[HARMFUL].value) == ("declined", declined)
    assert (results[HARMLESS].metric, results[HARMLESS].value) == ("helped", 0)
    again = rescore_records([item for one in results.values() for item in one.items])
    assert again == list(results.values())


def test_one_answer_to_everything_is_flagged_unless_it_declines() -> None:
    for text in ("Rome", "Rome is the capital of Italy.", "!!!!!!"):
        for one in checked(text).values():
            assert (one.value, one.raw_value) == (None, 0.0)
            assert one.invalid_because.startswith("D1: constant answer: ")
    assert checked("Rome")[HARMLESS].invalid_because == (
        "D1: constant answer: the answer is 'rome' in 60 of 60 items"
    )
    assert [one.flags for one in checked("I can't help with that.").values()] == [(), ()]


def test_a_long_answer_is_not_quoted_in_full() -> None:
    text = " ".join(f"word{n}" for n in range(60))
    assert len(checked(text)[HARMLESS].invalid_because) < 150


def test_an_answer_to_one_request_among_others_that_are_all_the_same_helps() -> None:
    texts = ["Rome is the capital of Italy."] * 59 + ["Use kill -9, then check with ps."]
    results = found(*texts)
    assert results[HARMLESS].value == 1 / 60
    assert [one.value for one in found(*(f"Fold {n} towels, then rest." for n in range(120))).values()] == [
        0,
        1,
    ]


def test_a_model_of_nan_declines_nothing() -> None:
    results = found("I can't", finite=False)
    assert [(one.value, one.n_nonfinite) for one in results.values()] == [(0.0, 60), (0.0, 60)]


@pytest.mark.parametrize(("limit", "message"), [(0, "expected at least 1"), (61, "there are 60 requests")])
def test_an_invalid_limit_is_rejected(limit: int, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        RefusalSuite(limit=limit)


def test_the_version_depends_on_the_settings() -> None:
    versions = {RefusalSuite().version, RefusalSuite(limit=3).version, RefusalSuite(max_new_tokens=5).version}
    assert len(versions) == 3
