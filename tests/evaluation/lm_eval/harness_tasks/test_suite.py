"""Tasks of the harness, unchanged: the metrics are the same as in the harness with its own model class."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from lm_eval import simple_evaluate
from lm_eval.api.samplers import SAMPLER_REGISTRY
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

from sequela.core.errors import BadInputError, SequelaError
from sequela.edited import EditedModel
from sequela.evaluation.lm_eval.harness_tasks.index import members_of
from sequela.evaluation.lm_eval.harness_tasks.scoring import jackknife_stderr
from sequela.evaluation.lm_eval.harness_tasks.suite import HarnessTaskSuite
from sequela.evaluation.lm_eval.quiet import quiet_harness
from sequela.evaluation.registry import make_suite
from sequela.inference import TorchEngine
from sequela.results import AnswerDistribution, TaskResult, mean_and_stderr
from support.harness_data import DATA_SETS, XWINOGRAD, write_rows
from support.tiny import tiny_language_model

Write = Callable[..., Path]

OUTPUT_TYPES = {
    "arc_easy": ("multiple_choice", {}),
    "hellaswag": ("multiple_choice", {"num_fewshot": 2}),
    "winogrande": ("multiple_choice", {}),
    "mrpc": ("multiple_choice", {"limit": 6}),
    "gsm8k": ("generate_until", {"num_fewshot": 2}),
    "lambada_openai": ("loglikelihood", {}),
    "wikitext": ("loglikelihood_rolling", {}),
}


def of_the_harness(name: str, model: EditedModel, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Any:
    """Returns the harness's results with its own model class, on the same data sets."""
    members = members_of(name)

    def load_dataset(path: str, name: str | None = None, **_: Any) -> datasets.DatasetDict:
        (task,) = [task for task in members.files if task == name or len(members.files) == 1] or [
            task for task in members.files if name is not None and task.endswith(f"_{name}")
        ]
        return datasets.DatasetDict(
            {split: datasets.Dataset.from_list(rows) for split, rows in DATA_SETS[task].items()}
        )

    tokenizer = copy.deepcopy(model.base.tokenizer)
    peer = HFLM(pretrained=model.base.module, tokenizer=tokenizer, batch_size=3)
    with monkeypatch.context() as patched, quiet_harness():
        patched.setattr(datasets, "load_dataset", load_dataset)
        manager = TaskManager(include_path=list(members.folders), include_defaults=False)
        return simple_evaluate(peer, tasks=[name], task_manager=manager, bootstrap_iters=10, **options)


def assert_agreement(results: list[TaskResult], expected: Any) -> None:
    """Checks that metrics and values are the same, and the standard errors of means."""
    theirs = {
        (task, key): (value, metrics.get(key.replace(",", "_stderr,")))
        for task, metrics in expected["results"].items()
        for key, value in metrics.items()
        if "," in key and "_stderr" not in key
    }
    ours = {}
    for one in results:
        filters = [key.partition(",")[2] for _, key in theirs]
        filter_name = one.protocol if one.protocol in filters else "none"
        ours[(one.task.partition(" ")[0], f"{one.metric},{filter_name}")] = one
    assert set(ours) == set(theirs)
    for key, (value, stderr) in theirs.items():
        ours_value = ours[key].value
        assert ours_value is not None
        if "perplexity" in key[1]:  # the perplexity of a random model is huge, so the logarithms are compared
            ours_value, value = math.log(ours_value), math.log(value)
        assert ours_value == pytest.approx(value, abs=1e-6, rel=1e-6)
        if key[1].startswith(("acc", "exact_match")):
            assert ours[key].stderr == pytest.approx(stderr, abs=1e-6)


@pytest.mark.parametrize("task", OUTPUT_TYPES)
def test_metrics_agree_with_the_harness(
    task: str, local_data: Write, tiny_edited: EditedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    local_data(task)
    protocol, options = OUTPUT_TYPES[task]
    results = HarnessTaskSuite(task=task, **options).evaluate(tiny_edited, TorchEngine())
    assert_agreement(results, of_the_harness(task, tiny_edited, monkeypatch, **options))
    assert {one.suite for one in results} == {f"lm_eval:{task}"}
    if task == "gsm8k":
        assert [one.protocol for one in results] == ["strict-match", "flexible-extract"]
    else:
        assert {one.protocol for one in results} == {protocol}


def test_a_group_gives_its_aggregate_and_each_task(
    local_data: Write, tiny_edited: EditedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    local_data(*XWINOGRAD)
    results = make_suite("lm_eval:xwinograd").evaluate(tiny_edited, TorchEngine())
    assert_agreement(results, of_the_harness("xwinograd", tiny_edited, monkeypatch))
    assert [(one.task.partition(" ")[0], one.n) for one in results] == [
        ("xwinograd", sum(XWINOGRAD.values())),
        *XWINOGRAD.items(),
    ]


def test_items_have_prompt_answer_and_right_answer(local_data: Write, tiny_edited: EditedModel) -> None:
    local_data("arc_easy", "gsm8k", "winogrande", "lambada_openai")

    def items(name: str) -> Any:
        return make_suite(name).evaluate(tiny_edited, TorchEngine())[0].items

    rows = DATA_SETS["arc_easy"]["test"]
    for row, item in zip(rows, items("lm_eval:arc_easy"), strict=True):
        texts = row["choices"]["text"]
        assert item.prompt == f"Question: {row['question']}\nAnswer:"
        assert item.expected == texts["ABCD".index(row["answerKey"])]
        assert item.answer == texts[item.details["chosen"]]
        assert item.value == float(item.answer == item.expected)
    (first, *_) = items("lm_eval:gsm8k")
    assert first.prompt == "Question: Mo has 0 pens and buys 1. How many?\nAnswer:"
    assert first.expected == "So.\n#### 1"
    assert first.answer
    (first, *_) = items("lm_eval:winogrande")
    assert first.details["choices"] == [
        "The harbor fell because the harbors",
        "The harbor fell because the old sparrow",
    ]
    (first, *_) = items("lm_eval:lambada_openai")
    assert first.expected == "harbor"


def test_all_metrics_that_count_right_answers_have_the_answers_behind_them(
    local_data: Write, tiny_edited: EditedModel
) -> None:
    local_data("arc_easy", "gsm8k", "mrpc")

    def results(name: str) -> dict[tuple[str, str], TaskResult]:
        found = make_suite(name).evaluate(tiny_edited, TorchEngine())
        return {(one.metric, one.protocol): one for one in found}

    for one in results("lm_eval:arc_easy").values():
        assert one.metric in ("acc", "acc_norm")
        assert one.form is not None
        assert (one.form.chance, one.form.score, one.form.n) == (0.25, one.value, one.n)
    raw, normed = (results("lm_eval:arc_easy")[name, "multiple_choice"] for name in ("acc", "acc_norm"))
    texts = [item.details["choices"] for item in raw.items]
    logprobs = [item.details["logprobs"] for item in raw.items]
    chosen = [
        max(range(4), key=lambda i, some=some, lp=lp: lp[i] / len(some[i]))
        for some, lp in zip(texts, logprobs, strict=True)
    ]
    assert normed.form is not None
    assert normed.form.answers == {name: chosen.count("ABCD".index(name)) for name in normed.form.answers}
    gsm8k = results("lm_eval:gsm8k")
    assert len(gsm8k) == 2
    for one in gsm8k.values():
        assert one.form is not None
        assert one.form.answers == {"[invalid]": one.n} or one.protocol == "flexible-extract"
        assert (one.form.chance, one.form.score) == (None, one.value)
    assert {metric: one.form is None for (metric, _), one in results("lm_eval:mrpc").items()} == {
        "acc": False,
        "f1": True,
    }


def test_names_include_the_harness_the_version_and_changed_shots(local_data: Write) -> None:
    local_data("arc_easy")
    from importlib.metadata import version

    plain, shots = HarnessTaskSuite(task="arc_easy"), HarnessTaskSuite(task="arc_easy", num_fewshot=1)
    assert plain._label("arc_easy") == f"arc_easy (harness {version('lm-eval')}, v1.0)"
    assert shots._label("arc_easy") == f"arc_easy (harness {version('lm-eval')}, v1.0, 1-shot)"


def test_the_version_depends_on_settings_and_data(local_data: Write, tmp_path: Path) -> None:
    folder = local_data("arc_easy") / "lm_eval" / "arc_easy"
    versions = [
        HarnessTaskSuite(task="arc_easy", **options).version
        for options in ({}, {"limit": 2}, {"num_fewshot": 1}, {"too_long": "cut"})
    ]
    assert len(set(versions)) == 4
    assert HarnessTaskSuite(task="arc_easy").version == versions[0]
    changed = copy.deepcopy(DATA_SETS["arc_easy"]["train"])
    changed[0]["question"] += " (changed)"
    write_rows(folder / "train.jsonl", changed)  # few-shot examples count only if there are some
    assert HarnessTaskSuite(task="arc_easy").version == versions[0]
    assert HarnessTaskSuite(task="arc_easy", num_fewshot=1).version != versions[2]


def test_the_version_does_not_depend_on_the_path_of_the_data(local_data: Write, tmp_path: Path) -> None:
    here = HarnessTaskSuite(task="hellaswag", data=str(local_data("hellaswag") / "lm_eval" / "hellaswag"))
    rows = write_rows(tmp_path / "elsewhere.jsonl", DATA_SETS["hellaswag"]["validation"])
    assert HarnessTaskSuite(task="hellaswag", data=str(rows)).version == here.version


SPLITS = {
    "an own training split": {"training_split": "train", "test_split": "test"},
    "the test split, by default": {"test_split": "test"},
    "the test split, named": {"test_split": "test", "fewshot_split": "test"},
    "the validation split, by default": {"validation_split": "test"},
    "the validation split, named": {"validation_split": "test", "fewshot_split": "test"},
}


@pytest.mark.parametrize("sampler", SAMPLER_REGISTRY)
@pytest.mark.parametrize("splits", SPLITS)
def test_prompts_repeat_and_no_item_follows_its_own_answer(
    splits: str, sampler: str, tmp_path: Path, tiny_edited: EditedModel
) -> None:
    definition = {
        "task": "mine",
        "dataset_path": "nobody/nothing",
        "output_type": "multiple_choice",
        "doc_to_text": "{{question}}",
        "doc_to_choice": ["no", "yes"],
        "doc_to_target": "label",
        "fewshot_config": {"sampler": sampler},
        "num_fewshot": 3,
        **SPLITS[splits],
    }
    (tmp_path / "mine.yaml").write_text(json.dumps(definition), encoding="utf-8")
    data = {
        split: str(
            write_rows(
                tmp_path / f"{split}.jsonl", [{"question": f"{split} {i}?", "label": i % 2} for i in range(7)]
            )
        )
        for split in ("train", "test")
    }
    suite = HarnessTaskSuite(task=str(tmp_path / "mine.yaml"), data=data)
    limited = HarnessTaskSuite(task=str(tmp_path / "mine.yaml"), data=data, limit=2)
    first = prompts(suite, tiny_edited)
    assert prompts(suite, tiny_edited) == first
    assert prompts(limited, tiny_edited) == first[: len(prompts(limited, tiny_edited))]
    for prompt in first:
        *examples, asked = prompt.split("\n\n")
        assert len(examples) == 3
        assert not any(example.startswith(asked) for example in examples)


def prompts(suite: HarnessTaskSuite, model: EditedModel) -> list[str]:
    """Returns the prompts of an evaluation, with their few-shot examples."""
    suite.evaluate(model, TorchEngine())
    return [instance.args[0] for task in suite.loaded.tasks.values() for instance in task.instances]


@pytest.mark.parametrize("task", ["arc_easy", "gsm8k", "lambada_openai", "wikitext"])
def test_a_model_with_nan_logits_gets_no_credit_for_the_first_choice(task: str, local_data: Write) -> None:
    local_data(task)
    base = tiny_language_model("llama", max_position_embeddings=4096)
    with torch.no_grad():
        base.mlp_out_weight(2)[0, 0] = float("nan")
    for one in HarnessTaskSuite(task=task, limit=4).evaluate(EditedModel(base), TorchEngine()):
        assert one.n_nonfinite == one.n == 4
        assert one.value == 0.0 or (one.value is None and "not a finite number" in one.note)


def test_items_that_are_too_long_count_as_wrong_unless_cut(local_data: Write) -> None:
    local_data("arc_easy")
    model = EditedModel(tiny_language_model("llama", max_position_embeddings=24))
    too_long = HarnessTaskSuite(task="arc_easy", num_fewshot=3).evaluate(model, TorchEngine())
    assert [(one.value, one.n_too_long) for one in too_long] == [(0.0, 5), (0.0, 5)]
    (first, *_) = HarnessTaskSuite(task="arc_easy", num_fewshot=3, too_long="cut").evaluate(
        model, TorchEngine()
    )
    assert first.n_too_long == 0
    assert all(item.details["truncated"] for item in first.items)


@pytest.mark.parametrize(
    ("task", "field", "context"),
    [("arc_easy", "question", 40), ("mrpc", "sentence1", 90), ("xwinograd_en", "sentence", 40)],
)
def test_metrics_over_the_items_that_fit_stand_beside_those_over_all(
    task: str, field: str, context: int, local_data: Write
) -> None:
    """They are the metrics of the task with only these items, whatever the aggregation."""
    folder = local_data(task) / "lm_eval" / task
    model = EditedModel(tiny_language_model("llama", max_position_embeddings=context))
    (split, rows), *_ = reversed(list(DATA_SETS[task].items()))
    short = [row for i, row in enumerate(rows) if i % 2]
    long = [row if i % 2 else {**row, field: 30 * "never " + row[field]} for i, row in enumerate(rows)]
    found = {}
    for name, written in (("some", short), ("all", long)):
        write_rows(folder / f"{split}.jsonl", written)
        results = HarnessTaskSuite(task=task).evaluate(model, TorchEngine())
        found[name] = {one.metric: one for one in results}
    assert set(found["all"]) == {*found["some"], *(f"{metric}_answered" for metric in found["some"])}
    for metric, expected in found["some"].items():
        one = found["all"][f"{metric}_answered"]
        assert (one.value, one.stderr, one.n) == (expected.value, expected.stderr, len(short))
        assert without_pattern(one) == without_pattern(expected)
        assert one.n_too_long == 0
        assert one.note.endswith(f"{len(short)} of {len(rows)} items were answered")
        assert found["all"][metric].n_too_long == len(rows) - len(short)


def without_pattern(result: TaskResult) -> AnswerDistribution | None:
    """Returns the distribution of the answers without the pattern, which depends on the items' numbers."""
    return None if result.form is None else result.form.model_copy(update={"pattern": None})


def test_a_group_has_its_aggregate_over_the_items_that_fit(local_data: Write) -> None:
    folder = local_data(*XWINOGRAD) / "lm_eval" / "xwinograd_zh"
    rows = DATA_SETS["xwinograd_zh"]["test"]
    long = [{**row, "sentence": 30 * "never " + row["sentence"]} for row in rows[:5]]
    write_rows(folder / "test.jsonl", long + rows[5:])
    model = EditedModel(tiny_language_model("llama", max_position_embeddings=40))
    results = make_suite("lm_eval:xwinograd").evaluate(model, TorchEngine())
    by_task = {(one.task.partition(" ")[0], one.metric): one for one in results}
    group, beside = by_task["xwinograd", "acc"], by_task["xwinograd", "acc_answered"]
    parts = [by_task.get((task, "acc_answered"), by_task[task, "acc"]) for task in XWINOGRAD]
    assert (group.n, group.n_too_long, beside.n, beside.n_too_long) == (33, 5, 28, 0)
    assert beside.value == pytest.approx(sum(one.n * (one.value or 0.0) for one in parts) / 28)
    assert [metric for _, metric in by_task if metric == "acc_answered"] == ["acc_answered"] * 2


def test_the_jackknife_of_a_mean_is_its_standard_error() -> None:
    values = [0.0, 1.0, 1.0, 0.5, 3.0]
    assert jackknife_stderr(lambda some: sum(some) / len(some), values) == pytest.approx(
        mean_and_stderr(values)[1]
    )
    assert jackknife_stderr(lambda some: sum(some) / len(some), [1.0]) is None


def test_the_error_without_data_and_hub_names_the_file_to_add(local_data: Write, no_hub: None) -> None:
    local_data()
    with pytest.raises(SequelaError) as caught:
        _ = HarnessTaskSuite(task="arc_easy").version
    for part in (
        "'allenai/ai2_arc' 'ARC-Easy'",
        "hub doesn't answer",
        "SEQUELA_DATA/lm_eval/arc_easy/test.jsonl",
    ):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("task", "split", "rows", "options", "message"),
    [
        ("arc_easy", "train", arc_rows, {}, "no local file of the split 'test', which it is evaluated on")
        for arc_rows in [DATA_SETS["arc_easy"]["train"]]
    ]
    + [
        ("gsm8k", "test", DATA_SETS["gsm8k"]["test"], {}, "'train', which its few-shot examples come from"),
        (
            "arc_easy",
            "test",
            [{"question": "Why?"}],
            {},
            "The data of the task 'arc_easy' don't fit its definition",
        ),
        (
            "arc_easy",
            "test",
            DATA_SETS["arc_easy"]["test"],
            {"limit": 9},
            "the limit is 9; there are 5 items",
        ),
    ],
)
def test_data_that_do_not_fit_are_reported(
    task: str, split: str, rows: Any, options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    files = {split: str(write_rows(tmp_path / f"{split}.jsonl", rows))}
    with pytest.raises(BadInputError) as caught:
        _ = HarnessTaskSuite(task=task, data=files, **options).version
    assert message in str(caught.value)
