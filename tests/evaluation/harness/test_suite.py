from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub
import lm_eval.api.task
import pytest
import torch
from lm_eval.evaluator import evaluate
from lm_eval.models.huggingface import HFLM

from sequela.evaluation.harness.quiet import quiet_harness
from sequela.evaluation.harness.suite import HarnessSuite
from sequela.ground.errors import BadInputError, SequelaError, UnknownNameError
from sequela.inference import TorchEngine, WorkingMemory
from sequela.models import EditedModel
from sequela.results import Finding
from support.tiny import tiny_language_model

SETTINGS: dict[str, dict[str, Any]] = {
    "mmlu": {"subjects": ["anatomy", "astronomy"]},
    "gsm8k": {"max_new_tokens": 16, "num_fewshot": 2},
    "truthfulqa_mc1": {},
    "toxigen": {},
}
CHOICE_SUITES = ["mmlu", "truthfulqa_mc1", "toxigen"]


def run(name: str, model: EditedModel, token_budget: int = 4096, **changes: Any) -> dict[str, Finding]:
    suite = HarnessSuite(name, **{**SETTINGS[name], **changes})
    engine = TorchEngine(WorkingMemory(most_tokens=token_budget))
    return {f"{f.task}/{f.metric}": f for f in suite.evaluate(model, engine)}


def by_the_harness(suite: HarnessSuite, model: EditedModel) -> dict[str, Any]:
    """The same tasks by the harness's own model class."""
    tokenizer = copy.deepcopy(model.base.tokenizer)
    peer = HFLM(pretrained=model.base.module, tokenizer=tokenizer, batch_size=3)
    with quiet_harness():
        tasks = {task.name: task.task for task in suite._tasks}
        output: dict[str, Any] = evaluate(peer, tasks, limit=suite._limit, bootstrap_iters=0)
    return output


def assert_agreement(suite: HarnessSuite, model: EditedModel) -> None:
    expected = by_the_harness(suite, model)
    findings = {(f.task, f.metric): f for f in suite.evaluate(model, TorchEngine())}
    for task, results in expected["results"].items():
        if suite.name == "gsm8k":
            for parser, name in (("strict", "strict-match"), ("flexible", "flexible-extract")):
                finding = findings[task, f"exact_match_{parser}"]
                assert finding.value == pytest.approx(results[f"exact_match,{name}"])
            texts = [s["resps"][0][0] for s in expected["samples"][task] if s["filter"] == "strict-match"]
            assert [item.answer for item in findings[task, "exact_match_strict"].items] == texts
            continue
        finding = findings[task, "accuracy"]
        assert finding.value == pytest.approx(results["acc,none"])
        for item, sample in zip(finding.items, expected["samples"][task], strict=True):
            logprobs = [responses[0][0] for responses in sample["resps"]]
            assert item.details["logprobs"] == pytest.approx(logprobs, abs=1e-4)


@pytest.mark.parametrize("name", SETTINGS)
def test_agrees_with_the_harness_running_the_model_itself(
    name: str, small_data: Path, edited: EditedModel
) -> None:
    assert_agreement(HarnessSuite(name, **SETTINGS[name]), edited)


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
def test_agrees_with_the_harness_on_the_real_data(name: str, real_data: Path, edited: EditedModel) -> None:
    settings: dict[str, Any] = {} if name == "gsm8k" else SETTINGS[name]
    assert_agreement(HarnessSuite(name, limit=12, **settings), edited)


@pytest.mark.slow
def test_the_stock_prompts_of_the_real_data(real_data: Path) -> None:
    suite = HarnessSuite("mmlu", limit=1, subjects=["anatomy"])
    (task,) = suite._tasks
    first = task.task.eval_docs[0]
    prompt = task.task.fewshot_context(first, num_fewshot=5)
    assert prompt.startswith("The following are multiple choice questions (with answers) about anatomy.\n\n")
    assert prompt.count("\nAnswer:") == 6
    assert prompt.endswith("\nAnswer:")


@pytest.mark.parametrize("name", CHOICE_SUITES)
def test_a_model_of_nan_scores_nothing(
    name: str, small_data: Path, broken: Callable[[], EditedModel]
) -> None:
    for finding in run(name, broken()).values():
        assert finding.value == 0
        assert finding.n_nonfinite == finding.n > 0
        assert all(item.answer == "" for item in finding.items)


def test_a_model_of_nan_writes_nothing(small_data: Path, broken: Callable[[], EditedModel]) -> None:
    for finding in run("gsm8k", broken()).values():
        assert finding.value == 0
        assert finding.n_nonfinite == finding.n == 5


@pytest.mark.parametrize("name", [*CHOICE_SUITES, "gsm8k"])
def test_items_longer_than_the_context_are_refused_and_counted(name: str, small_data: Path) -> None:
    model = EditedModel(tiny_language_model("llama", max_position_embeddings=40))
    for finding in run(name, model, **({"max_new_tokens": 8} if name == "gsm8k" else {})).values():
        assert finding.n_refused == finding.n > 0
        assert finding.n_nonfinite == 0
        assert finding.value == 0
        assert "longer than the model's context" in finding.note
        assert all(item.refused > 40 and item.answer == "" for item in finding.items)


def test_prompts_are_cut_instead_if_asked_for(small_data: Path) -> None:
    model = EditedModel(tiny_language_model("llama", max_position_embeddings=40))
    for finding in run("mmlu", model, too_long="cut").values():
        assert finding.n_refused == 0
        assert f"cut on the left to fit the model's context: {finding.n}" in finding.note
    assert HarnessSuite("toxigen", too_long="cut").version != HarnessSuite("toxigen").version


def test_a_model_without_an_opinion_does_not_find_the_truth(small_data: Path, edited: EditedModel) -> None:
    with torch.no_grad():
        for parameter in edited.base.module.parameters():
            parameter.zero_()
    finding = run("toxigen", edited)["toxigen_local/accuracy"]
    assert finding.value == 0
    assert finding.n_nonfinite == 0
    assert "items with a tie for the best choice, counted as wrong: 9" in finding.note


def test_mmlu_weighs_subjects_by_their_items(small_data: Path, edited: EditedModel) -> None:
    path = small_data / "mmlu" / "test" / "astronomy_test.csv"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:3]), encoding="utf-8")  # the header and two items
    findings = run("mmlu", edited)
    anatomy, astronomy = findings["mmlu_anatomy/accuracy"], findings["mmlu_astronomy/accuracy"]
    assert (anatomy.n, astronomy.n) == (6, 2)
    assert anatomy.value is not None
    assert astronomy.value is not None
    overall = findings["mmlu/accuracy"]
    assert overall.n == 8
    assert overall.value == pytest.approx((6 * anatomy.value + 2 * astronomy.value) / 8)
    assert len({item.item for item in overall.items}) == 8
    assert "2 of 57 subjects" in overall.note


def test_a_limit_takes_the_first_items_and_says_so(small_data: Path, edited: EditedModel) -> None:
    whole = run("truthfulqa_mc1", edited)["truthfulqa_mc1/accuracy"]
    part = run("truthfulqa_mc1", edited, limit=2)["truthfulqa_mc1/accuracy"]
    assert [item.item for item in part.items] == [item.item for item in whole.items[:2]]
    assert "the first 2 of 6 items" in part.note
    assert "first" not in whole.note
    assert run("truthfulqa_mc1", edited, limit=50)["truthfulqa_mc1/accuracy"].note == whole.note


def test_changed_settings_and_data_change_the_name(small_data: Path, edited: EditedModel) -> None:
    assert set(run("mmlu", edited, num_fewshot=1, limit=1)) == {
        "mmlu_1shot/accuracy",
        "mmlu_anatomy_1shot/accuracy",
        "mmlu_astronomy_1shot/accuracy",
    }
    toxigen = run("toxigen", edited)
    assert set(toxigen) == {f"toxigen_local/{m}" for m in ("accuracy", "balanced_accuracy", "share_yes")}
    for finding in toxigen.values():
        assert "not the official one" in finding.note
        assert "always answering 'No' scores 0.556" in finding.note


def test_the_stock_version_and_the_length_are_told(small_data: Path, edited: EditedModel) -> None:
    finding = run("gsm8k", edited)["gsm8k_cot_2shot/exact_match_strict"]
    assert finding.note == "lm-evaluation-harness gsm8k_cot v3.0, 2-shot; at most 16 new tokens"
    assert finding.protocol == "generation"


@pytest.mark.parametrize("name", SETTINGS)
def test_results_do_not_depend_on_the_batches(name: str, small_data: Path, edited: EditedModel) -> None:
    large, small = run(name, edited), run(name, edited, token_budget=1)
    assert list(large) == list(small)
    for key, finding in large.items():
        assert finding.value == small[key].value
        assert [item.answer for item in finding.items] == [item.answer for item in small[key].items]


def test_running_twice_gives_the_same_findings(small_data: Path, edited: EditedModel) -> None:
    suite = HarnessSuite("toxigen")
    assert suite.evaluate(edited, TorchEngine()) == suite.evaluate(edited, TorchEngine())


def test_the_version_follows_settings_and_items(small_data: Path) -> None:
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


def test_the_version_follows_the_worked_examples(small_data: Path) -> None:
    before = HarnessSuite("mmlu", subjects=["anatomy"]).version
    path = small_data / "mmlu" / "dev" / "anatomy_dev.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("Where", "In what"), encoding="utf-8")
    assert HarnessSuite("mmlu", subjects=["anatomy"]).version != before


def test_without_data_and_network_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEQUELA_DATA", raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(SequelaError, match="truthfulqa/truthful_qa") as caught:
        _ = HarnessSuite("truthfulqa_mc1").version
    assert "SEQUELA_DATA" in str(caught.value)


def test_the_harness_is_quiet_only_while_it_works(
    small_data: Path, edited: EditedModel, capfd: pytest.CaptureFixture[str]
) -> None:
    logger = logging.getLogger("lm_eval")
    level, bar = logger.level, lm_eval.api.task.tqdm
    run("toxigen", edited)
    assert capfd.readouterr() == ("", "")
    assert (logger.level, lm_eval.api.task.tqdm) == (level, bar)


@pytest.mark.parametrize(
    ("name", "settings", "error", "said"),
    [
        ("mmmlu", {}, UnknownNameError, "'mmlu'"),
        ("mmlu", {"subjects": ["anatomi"]}, UnknownNameError, "'anatomy'"),
        ("mmlu", {"subjects": ["anatomy", "anatomy"]}, BadInputError, "once"),
        ("mmlu", {"subjects": []}, BadInputError, "an empty list"),
        ("mmlu", {"num_fewshot": 6}, BadInputError, "0 to 5"),
        ("mmlu", {"max_new_tokens": 6}, BadInputError, "max_new_tokens"),
        ("toxigen", {"num_fewshot": 1}, BadInputError, "num_fewshot"),
        ("toxigen", {"limit": 0}, BadInputError, "at least 1"),
    ],
)
def test_wrong_settings_are_refused_before_anything_runs(
    name: str, settings: dict[str, Any], error: type[SequelaError], said: str
) -> None:
    with pytest.raises(error) as caught:
        HarnessSuite(name, **settings)
    assert said in str(caught.value)
