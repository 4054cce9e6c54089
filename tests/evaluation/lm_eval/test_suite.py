from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub
import jinja2
import lm_eval.api.task
import pytest
import torch
from lm_eval.evaluator import evaluate
from lm_eval.models.huggingface import HFLM

from sequela.core.errors import BadInputError, SequelaError, UnknownNameError
from sequela.edited import EditedModel
from sequela.edited.chat_template import ChatTemplate
from sequela.edited.protocols import Routed
from sequela.evaluation.lm_eval.aggregate import holds_answer, rescore_benchmark
from sequela.evaluation.lm_eval.quiet import quiet_harness
from sequela.evaluation.lm_eval.suite import HarnessSuite
from sequela.evaluation.lm_eval.task_file import task_files
from sequela.evaluation.registry import make_suite
from sequela.inference import TorchEngine, WorkingMemory
from sequela.models import LanguageModel
from sequela.results import Labels, TaskResult
from sequela.studies.baseline import Baseline, measurements
from support.own_task import OWN
from support.tiers import quick_cases
from support.tiny import tiny_language_model

ALL = ["generation", "letters", "answers"]
SETTINGS: dict[str, dict[str, Any]] = {
    "mmlu": {"subjects": ["anatomy", "astronomy"], "protocols": ALL},
    "bbh": {"subjects": ["navigate", "word_sorting"], "max_new_tokens": 8},
    "gsm8k": {"max_new_tokens": 16, "num_fewshot": 2},
    "commonsenseqa": {"protocols": ALL},
    "triviaqa": {},
    "truthfulqa": {},
    "toxigen": {},
}
CHOICES: dict[str, dict[str, Any]] = {
    "mmlu": {"protocols": ["letters", "answers"]},
    "commonsenseqa": {"protocols": ["letters", "answers"]},
    "truthfulqa": {},
    "toxigen": {},
}
OVER_ALL = ("/accuracy", "/accuracy_lenient", "/accuracy_per_byte", "/true_probability")
"""The metrics in which an item that wasn't answered counts as 0."""

WRITTEN = ["mmlu", "bbh", "gsm8k", "commonsenseqa", "triviaqa"]


def run(name: str, model: EditedModel, token_budget: int = 4096, **changes: Any) -> dict[str, TaskResult]:
    suite = HarnessSuite(name, **{**SETTINGS[name], **changes})
    engine = TorchEngine(WorkingMemory(most_tokens=token_budget))
    return {f"{f.task}/{f.protocol}/{f.metric}": f for f in suite.evaluate(model, engine)}


def by_the_harness(suite: HarnessSuite, model: EditedModel) -> dict[str, Any]:
    """Runs the same tasks with the harness's own model class."""
    tokenizer = copy.deepcopy(model.base.tokenizer)
    peer = HFLM(pretrained=model.base.module, tokenizer=tokenizer, batch_size=3)
    with quiet_harness():
        tasks = {task.key: task.task for task in suite.tasks}
        output: dict[str, Any] = evaluate(peer, tasks, limit=suite.settings.limit, bootstrap_iters=0)
    return output


def assert_agreement(suite: HarnessSuite, model: EditedModel) -> None:
    """Checks that every item has the same answer, and log-probabilities within 1e-4."""
    expected = by_the_harness(suite, model)
    whole = [item for result in suite.evaluate(model, TorchEngine()) for item in result.items]
    for task in suite.tasks:
        of_task = [item for item in whole if (item.task, item.protocol) == (task.name, task.file.protocol)]
        items = [item for item in of_task if holds_answer(item)]
        samples = expected["samples"][task.key]
        assert [item.details["prompt_hash"] for item in items] == [one["prompt_hash"] for one in samples]
        for item, sample in zip(items, samples, strict=True):
            if task.file.protocol == "generation":
                assert item.answer == sample["resps"][0][0]
                continue
            logprobs = [responses[0][0] for responses in sample["resps"]]
            assert item.details["logprobs"] == pytest.approx(logprobs, abs=1e-4)
            assert item.details["right"] == int(sample["target"])
        if task.file.protocol != "generation" and task.file.name != "truthfulqa_mc2":
            accuracy = sum(item.value for item in items) / len(items)
            assert accuracy == pytest.approx(expected["results"][task.key]["acc,none"])


@pytest.mark.parametrize("name", SETTINGS)
def test_agrees_with_the_harness_running_the_model_itself(
    name: str, small_data: Path, edited: EditedModel
) -> None:
    assert_agreement(HarnessSuite(name, **SETTINGS[name]), edited)


CHATML = "{% for m in messages %}<u>{{ m.content }}</u>\n{% endfor %}{{ '<a>\n' }}"


@pytest.mark.parametrize("name", ["toxigen", "commonsenseqa"])
def test_agrees_with_the_harness_in_a_chat_template(name: str, small_data: Path, edited: EditedModel) -> None:
    tokenizer = copy.deepcopy(edited.base.tokenizer)
    tokenizer.chat_template = CHATML
    base = LanguageModel.wrap(edited.base.module, tokenizer, "chatty")
    peer = HFLM(pretrained=base.module, tokenizer=copy.deepcopy(tokenizer), batch_size=1)
    suite = HarnessSuite(name, **SETTINGS[name])
    with quiet_harness():
        tasks = {task.key: task.task for task in suite.tasks}
        expected = evaluate(
            peer, tasks, bootstrap_iters=0, apply_chat_template=True, fewshot_as_multiturn=False
        )
    asked = EditedModel(base, routers=(ChatTemplate.of(base),))
    found = [item for result in suite.evaluate(asked, TorchEngine()) for item in result.items]
    for task in suite.tasks:
        items = [
            item
            for item in found
            if holds_answer(item) and (item.task, item.protocol) == (task.name, task.file.protocol)
        ]
        for item, sample in zip(items, expected["samples"][task.key], strict=True):
            if task.file.protocol == "generation":
                assert item.answer == sample["resps"][0][0]
            else:
                # The harness scores the last line break with each choice; the differences are the same.
                theirs = [responses[0][0] - sample["resps"][0][0][0] for responses in sample["resps"]]
                ours = [logprob - item.details["logprobs"][0] for logprob in item.details["logprobs"]]
                assert ours == pytest.approx(theirs, abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
def test_agrees_with_the_harness_on_the_real_data(name: str, real_data: Path, edited: EditedModel) -> None:
    assert_agreement(HarnessSuite(name, limit=12, **SETTINGS[name]), edited)


@pytest.mark.slow
def test_the_prompts_of_the_real_data(real_data: Path) -> None:
    prompts = {}
    for name, settings in SETTINGS.items():
        for task in HarnessSuite(name, limit=1, **settings).tasks:
            first = task.task.eval_docs[0]
            prompts[task.key] = task.task.fewshot_context(first, num_fewshot=task.shots)
    anatomy = prompts["mmlu_anatomy@1/letters"]
    assert anatomy.startswith("The following are multiple choice questions (with answers) about anatomy.\n\n")
    assert anatomy.count("\nAnswer:") == 6
    assert prompts["mmlu_anatomy@1/generation"] == anatomy
    assert "\nB." not in prompts["mmlu_anatomy@1/answers"]
    assert prompts["commonsenseqa@1/letters"] == prompts["commonsenseqa@1/generation"]
    assert prompts["commonsenseqa@1/letters"].count("\nE. ") == 8
    assert prompts["bbh_navigate@1/generation"].count("Let's think step by step.") == 4
    assert prompts["triviaqa_local@1/generation"].count("?") == 1
    for prompt in prompts.values():
        assert prompt == prompt.rstrip(" ")


@pytest.mark.parametrize("name", CHOICES)
def test_a_model_with_nan_logits_scores_zero(
    name: str, small_data: Path, broken: Callable[[], EditedModel]
) -> None:
    for key, result in run(name, broken(), **CHOICES[name]).items():
        assert result.value == 0, key
        assert result.n_nonfinite == result.n > 0
        assert all(item.answer == "" for item in result.items)


@pytest.mark.parametrize("name", WRITTEN)
def test_a_model_with_nan_logits_generates_nothing(
    name: str, small_data: Path, broken: Callable[[], EditedModel]
) -> None:
    protocols = {"protocols": ["generation"]} if name in CHOICES else {}
    results = run(name, broken(), **protocols)
    for key, result in results.items():
        assert result.value == (None if "parsed" in key else float("empty_rate" in key)), key
        assert "parsed" in key or result.n_nonfinite == result.n > 0


@pytest.mark.parametrize("name", SETTINGS)
def test_items_longer_than_the_context_are_rejected_and_counted(name: str, small_data: Path) -> None:
    model = EditedModel(tiny_language_model("llama", max_position_embeddings=16))
    shorter = {"max_new_tokens": 8} if name in WRITTEN else {}
    for key, result in run(name, model, **shorter).items():
        assert result.n_nonfinite == 0
        if not key.endswith(OVER_ALL):  # no item says anything about form or separation
            assert (result.value, result.items) == (None, ()), key
            assert "0 of " in result.note or "accuracy_parsed" in key
            continue
        n = result.n
        assert result.n_too_long == n > 0, key
        assert result.value == 0
        assert "longer than the model's context" in result.note
        assert all(item.too_long > 16 and item.answer == "" for item in result.items)


def test_items_that_do_not_fit_are_left_out_of_everything_but_accuracy_over_all(
    small_data: Path, edited: EditedModel
) -> None:
    short = EditedModel(tiny_language_model("llama", max_position_embeddings=540))
    whole, part = run("mmlu", edited), run("mmlu", short)
    everything = {key: result for key, result in part.items() if key in whole}
    accuracy = part["mmlu@1/generation/accuracy"]
    assert 0 < accuracy.n_too_long < accuracy.n
    answered = [item for item in accuracy.items if item.answered]
    for metric in ("parse_rate", "empty_rate", "answer_words", "repetition"):
        form = everything[f"mmlu@1/generation/{metric}"]
        same = [i.value for i in whole[f"mmlu@1/generation/{metric}"].items]
        kept = {item.item: item.value for item in form.items}
        assert form.n == len(answered) == len(kept) < len(same)
        assert f"{form.n} of {len(same)} items were answered" in form.note
    beside = part["mmlu@1/generation/accuracy_answered"]
    assert [item.item for item in beside.items] == [item.item for item in answered]
    assert beside.value == sum(item.value for item in answered) / len(answered)
    assert (beside.group, beside.n_too_long, beside.form) == ("mmlu", 0, accuracy.form)
    assert not any(key.endswith("accuracy_answered") for key in whole)


def test_prompts_are_truncated_with_the_setting_cut(small_data: Path) -> None:
    model = EditedModel(tiny_language_model("llama", max_position_embeddings=40))
    for result in run("mmlu", model, too_long="cut", **CHOICES["mmlu"]).values():
        assert result.n_too_long == 0
        assert f"cut on the left to fit the model's context: {result.n}" in result.note
    assert HarnessSuite("toxigen", too_long="cut").version != HarnessSuite("toxigen").version


class FailsOn:
    """A router that raises an error for prompts with a certain word."""

    content_hash = "stumbles"

    def __init__(self, word: str) -> None:
        self.word = word

    def route(self, prompt: str) -> Routed:
        if self.word in prompt:
            raise jinja2.TemplateError(f"no template for {self.word}")
        return Routed(prompt)


@pytest.mark.parametrize("name", SETTINGS)
def test_an_error_in_a_request_fails_only_its_own_item(
    name: str, small_data: Path, edited: EditedModel
) -> None:
    whole = HarnessSuite(name, **SETTINGS[name])
    task = whole.tasks[0]
    question = task.task.doc_to_text(task.task.eval_docs[1])
    model = EditedModel(edited.base, routers=(FailsOn(question),))
    healthy = {(i.task, i.protocol, i.metric, i.item): i for f in run(name, edited).values() for i in f.items}
    n_failed = 0
    for key, result in run(name, model).items():
        if not key.endswith(OVER_ALL):
            assert not any(item.failed for item in result.items)
            continue
        failed = [item for item in result.items if item.failed]
        assert len(failed) == result.n_failed or not result.items, key
        assert all(item.value == 0 for item in failed)
        assert all(item.failed.startswith("TemplateError: no template for") for item in failed)
        assert ("failed" in result.note) == (result.n_failed > 0)
        assert result.n_nonfinite == 0
        n_failed += result.n_failed
        for item in result.items:
            if not item.failed and item.metric != "balanced_accuracy":
                one = healthy[item.task, item.protocol, item.metric, item.item]
                assert (item.value, item.answer) == (one.value, one.answer)
    assert n_failed > 0


def test_a_model_with_equal_logits_scores_zero_on_truthfulqa(small_data: Path, edited: EditedModel) -> None:
    with torch.no_grad():
        for parameter in edited.base.module.parameters():
            parameter.zero_()
    result = run("toxigen", edited)["toxigen_local@1/loglikelihood/accuracy"]
    assert result.value == 0
    assert result.n_nonfinite == 0
    assert result.form is not None
    assert result.form.n_ties == 9
    assert "items with a tie for the best choice, counted as wrong: 9" in result.note


def test_the_right_answer_occurs_at_every_index(small_data: Path) -> None:
    (mc1, mc2) = HarnessSuite("truthfulqa").tasks
    for task in (mc1, mc2):
        assert len({task.task.doc_to_target(document) for document in task.task.eval_docs}) > 1


def test_mmlu_weights_subjects_by_their_items(small_data: Path, edited: EditedModel) -> None:
    path = small_data / "mmlu" / "test" / "astronomy_test.csv"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:3]), encoding="utf-8")  # the header and two items
    results = run("mmlu", edited)
    anatomy = results["mmlu_anatomy@1/letters/accuracy"]
    astronomy = results["mmlu_astronomy@1/letters/accuracy"]
    assert (anatomy.n, astronomy.n) == (6, 2)
    assert anatomy.value is not None
    assert astronomy.value is not None
    overall = results["mmlu@1/letters/accuracy"]
    assert overall.n == 8
    assert overall.value == pytest.approx((6 * anatomy.value + 2 * astronomy.value) / 8)
    assert len({item.item for item in overall.items}) == 8
    assert "2 of 57 subjects" in overall.note
    places = [(one.group, one.subtask) for one in (overall, anatomy, astronomy)]
    assert places == [("mmlu", ""), ("mmlu", "anatomy"), ("mmlu", "astronomy")]


def test_a_limit_takes_the_first_items_and_is_noted(small_data: Path, edited: EditedModel) -> None:
    key = "truthfulqa_mc1@1/loglikelihood/accuracy"
    whole = run("truthfulqa", edited)[key]
    part = run("truthfulqa", edited, limit=2)[key]
    assert [item.item for item in part.items] == [item.item for item in whole.items[:2]]
    assert "the first 2 of 6 items" in part.note
    assert "first" not in whole.note
    assert run("truthfulqa", edited, limit=6)[key].note == whole.note


def test_a_limit_above_the_number_of_items_is_rejected(small_data: Path) -> None:
    with pytest.raises(BadInputError, match="the limit is 7; there are 6 items"):
        _ = HarnessSuite("truthfulqa", limit=7).version


def test_changed_settings_and_data_change_the_name(small_data: Path, edited: EditedModel) -> None:
    assert set(run("mmlu", edited, num_fewshot=1, limit=1, protocols=["letters"])) == {
        "mmlu_1shot@1/letters/accuracy",
        "mmlu_anatomy_1shot@1/letters/accuracy",
        "mmlu_astronomy_1shot@1/letters/accuracy",
    }
    toxigen = run("toxigen", edited)
    metrics = ("accuracy", "balanced_accuracy", "auroc", "share_yes")
    assert set(toxigen) == {f"toxigen_local@1/loglikelihood/{metric}" for metric in metrics}
    for result in toxigen.values():
        assert "not the official one" in result.note
        assert (result.group, result.subtask) == ("toxigen", "")  # whatever the suffixes of its name


def test_notes_give_the_upstream_task_and_the_length(small_data: Path, edited: EditedModel) -> None:
    result = run("gsm8k", edited)["gsm8k_2shot@1/generation/accuracy"]
    assert result.note == ("prompts of lm-evaluation-harness's gsm8k_cot v3.0; 2-shot; at most 16 new tokens")


def test_reported_metrics_are_the_listed_ones(small_data: Path, edited: EditedModel) -> None:
    for file in task_files():
        results = run(file.benchmark, edited)
        reported = {
            key.rpartition("/")[2]
            for key in results
            if key.startswith(file.name) and f"/{file.protocol}/" in key
        }
        assert reported == set(file.reported_metrics), file


def test_stored_answers_are_scored_again_without_a_model(small_data: Path, edited: EditedModel) -> None:
    labels = Labels(model="tiny", editor="none", edit_source="builtin", order_seed=0, n_edits=0)
    for name, settings in SETTINGS.items():
        suite = HarnessSuite(name, **settings)
        results = suite.evaluate(edited, TorchEngine())
        stored = measurements(results, labels, Baseline())
        items = [item for result in results for item in result.items]
        again = rescore_benchmark(suite.settings.files, items, stored)
        assert [result.model_dump() for result in again] == [result.model_dump() for result in results]


def test_a_users_own_task(tmp_path: Path, edited: EditedModel) -> None:
    path, items = tmp_path / "capitals.yaml", tmp_path / "capitals.jsonl"
    path.write_text(OWN, encoding="utf-8")
    items.write_text('{"country": "France", "capital": "Paris"}\n', encoding="utf-8")
    suite = make_suite(str(path))
    assert suite.name == "capitals"
    result = suite.evaluate(edited, TorchEngine())[0]
    assert (result.suite, result.task, result.n) == ("capitals", "capitals@2", 1)
    (item,) = result.items
    assert (item.prompt, item.expected) == ("The capital of France is", "Paris")
    items.write_text('{"country": "France", "capital": "Paris"}\n{"country": "Peru"}\n', encoding="utf-8")
    with pytest.raises(BadInputError, match=r"capitals\.jsonl, line 2: the fields differ .* in capital"):
        _ = make_suite(str(path)).version


@pytest.mark.parametrize("name", quick_cases(SETTINGS, ("triviaqa",)))
def test_results_do_not_depend_on_the_batches(name: str, small_data: Path, edited: EditedModel) -> None:
    large, small = run(name, edited), run(name, edited, token_budget=1)
    assert list(large) == list(small)
    for key, result in large.items():
        # MC2 is computed from probabilities, not from verdicts
        exact = not key.endswith("true_probability")
        assert result.value == (small[key].value if exact else pytest.approx(small[key].value, abs=1e-6))
        assert [item.answer for item in result.items] == [item.answer for item in small[key].items]


def test_running_twice_gives_the_same_results(small_data: Path, edited: EditedModel) -> None:
    suite = HarnessSuite("toxigen")
    assert suite.evaluate(edited, TorchEngine()) == suite.evaluate(edited, TorchEngine())


def test_the_version_depends_on_settings_and_items(small_data: Path) -> None:
    version = HarnessSuite("gsm8k").version
    assert HarnessSuite("gsm8k").version == version
    assert HarnessSuite("gsm8k", limit=5).version == version  # there are five
    others = {
        HarnessSuite("gsm8k", limit=2).version,
        HarnessSuite("gsm8k", num_fewshot=3).version,
        HarnessSuite("gsm8k", max_new_tokens=99).version,
    }
    path = small_data / "gsm8k" / "test.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace("pens", "pins"), encoding="utf-8")
    assert len(others | {HarnessSuite("gsm8k").version, version}) == 5


def test_the_version_depends_on_the_few_shot_examples(small_data: Path) -> None:
    before = HarnessSuite("mmlu", subjects=["anatomy"]).version
    path = small_data / "mmlu" / "dev" / "anatomy_dev.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("Where", "In what"), encoding="utf-8")
    assert HarnessSuite("mmlu", subjects=["anatomy"]).version != before


def test_the_error_without_data_and_network_has_a_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SEQUELA_DATA", raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(SequelaError, match="truthfulqa/truthful_qa") as caught:
        _ = HarnessSuite("truthfulqa").version
    assert "SEQUELA_DATA" in str(caught.value)


def test_the_harness_is_quiet_only_during_an_evaluation(
    small_data: Path, edited: EditedModel, capfd: pytest.CaptureFixture[str]
) -> None:
    logger = logging.getLogger("lm_eval")
    level, bar = logger.level, lm_eval.api.task.tqdm
    run("toxigen", edited)
    assert capfd.readouterr() == ("", "")
    assert (logger.level, lm_eval.api.task.tqdm) == (level, bar)


@pytest.mark.parametrize(
    ("name", "settings", "error", "message"),
    [
        ("mmmlu", {}, UnknownNameError, "'mmlu'"),
        ("mmlu", {"subjects": ["anatomi"]}, UnknownNameError, "'anatomy'"),
        ("mmlu", {"subjects": ["anatomy", "anatomy"]}, BadInputError, "once"),
        ("mmlu", {"subjects": []}, BadInputError, "an empty list"),
        ("mmlu", {"num_fewshot": 6}, BadInputError, "0 to 5"),
        ("truthfulqa", {"max_new_tokens": 6}, BadInputError, "max_new_tokens"),
        ("mmlu", {"protocols": ["letter"]}, UnknownNameError, "'letters'"),
        ("mmlu", {"protocols": []}, BadInputError, "an empty list"),
        ("mmlu", {"protocols": ["letters", "letters"]}, BadInputError, "letters, letters"),
        ("mmlu", {"protocols": ["letters"], "max_new_tokens": 6}, BadInputError, "max_new_tokens"),
        ("toxigen", {"subjects": ["anatomy"]}, BadInputError, "subjects"),
        ("toxigen", {"num_fewshot": 1}, BadInputError, "num_fewshot"),
        ("toxigen", {"limit": 0}, BadInputError, "at least 1"),
    ],
)
def test_invalid_settings_are_rejected_before_the_run(
    name: str, settings: dict[str, Any], error: type[SequelaError], message: str
) -> None:
    with pytest.raises(error) as caught:
        HarnessSuite(name, **settings)
    assert message in str(caught.value)
