"""Rescoring of stored answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sequela.cli.main import app
from sequela.core.errors import SequelaError
from sequela.edited import EditedModel
from sequela.edits import EditSet
from sequela.evaluation.edit_quality.measure import RETENTION_AT_N, SUITE, measure_edits, task_results
from sequela.evaluation.edit_quality.probes import EditQualitySettings
from sequela.evaluation.lm_eval.aggregate import benchmark_results
from sequela.evaluation.lm_eval.generation_scoring import generation_records
from sequela.evaluation.lm_eval.item_records import ItemContext
from sequela.evaluation.lm_eval.task_file import FOLDER, read_task_file
from sequela.inference import TorchEngine
from sequela.models import LanguageModel
from sequela.results import EvaluationKey, ItemRecord, Labels, TaskResult, open_store
from sequela.studies.baseline import Baseline, measurements
from sequela.studies.rescoring import rescore_run

GSM8K = read_task_file(FOLDER / "gsm8k-generation.yaml")
TEXTS = ("So the answer is 4.", "It is 4", "no idea")


def answered(texts: Sequence[str]) -> list[TaskResult]:
    """Results of generated answers to three questions whose answer is 4."""
    samples = [
        {
            "doc_id": i,
            "doc": {},
            "doc_hash": f"{i:064d}",
            "prompt_hash": "p",
            "target": "4",
            "arguments": [(f"prompt {i}", {})],
            "resps": [[text]],
        }
        for i, text in enumerate(texts)
    ]
    context = ItemContext("gsm8k", "gsm8k@1", "generation", lambda _: "question")
    records = generation_records(samples, context, GSM8K.readings, lambda _: ["4"], lambda _: ())
    return benchmark_results(GSM8K, {"gsm8k@1": records}, {"gsm8k@1": ""}, {"gsm8k@1": "8-shot"})


def write(folder: Path, found: Sequence[TaskResult], suite: str, n_edits: int, stale: bool) -> EvaluationKey:
    """Stores results; stale ones are scored by an older rule: everything incorrect."""
    labels = Labels(
        model="m", editor="rome" if n_edits else "none", edit_source="builtin", order_seed=0, n_edits=n_edits
    )
    measured = measurements(found, labels, Baseline())
    items = [item for result in found for item in result.items if item.metric == result.metric]
    if stale:
        measured = [one.model_copy(update={"value": 0.0}) for one in measured]
        items = [item.model_copy(update={"value": 0.0}) for item in items]
    key = EvaluationKey(
        trajectory=f"t{n_edits}", n_edits=n_edits, suite=suite, suite_version="old", model_hash="h"
    )
    with open_store(folder, create=True) as store:
        store.write_evaluation(key, measured, items)
    return key


def stored(folder: Path) -> dict[tuple[int, str], float | None]:
    with open_store(folder) as store:
        return {(one.n_edits, one.metric): one.value for one in store.measurements()}


def test_scores_of_an_older_rule_are_corrected(tmp_path: Path) -> None:
    write(tmp_path, answered(TEXTS), "gsm8k", 0, stale=True)
    write(tmp_path, answered(TEXTS[1:] + TEXTS[1:2]), "gsm8k", 5, stale=True)
    result = rescore_run(tmp_path)
    assert len(result.done) == 2
    values = stored(tmp_path)
    assert values[0, "accuracy"] == pytest.approx(1 / 3)
    assert values[0, "accuracy_lenient"] == pytest.approx(2 / 3)
    assert values[0, "parse_rate"] == pytest.approx(1 / 3)
    assert values[5, "accuracy"] == 0.0
    with open_store(tmp_path) as store:
        assert store.count_evaluations() == 2
        (edited,) = (
            one for one in store.measurements() if (one.n_edits, one.metric) == (5, "accuracy_lenient")
        )
        assert edited.baseline == pytest.approx(2 / 3)  # the unedited model's was scored again, too
        assert edited.form is not None
        assert edited.note == "8-shot"
    changed = {(after.n_edits, after.metric) for one in result.done for _, after in one.changed}
    assert (0, "accuracy") in changed
    assert (5, "accuracy") not in changed


def test_rescoring_twice_changes_nothing_more(tmp_path: Path) -> None:
    write(tmp_path, answered(TEXTS), "gsm8k", 0, stale=True)
    rescore_run(tmp_path)
    before = stored(tmp_path)
    with open_store(tmp_path) as store:
        keys = store.evaluations()
    again = rescore_run(tmp_path)
    assert [one.changed for one in again.done] == [()]
    assert stored(tmp_path) == before
    with open_store(tmp_path) as store:
        assert store.evaluations() == keys


def test_answers_about_edits_are_rescored(
    tmp_path: Path, world_model: LanguageModel, world_edits: EditSet
) -> None:
    edit = world_edits[0]
    true = edit.model_copy(update={"target_new": edit.target_true, "target_true": edit.target_new})
    items = measure_edits(
        EditedModel(world_model), TorchEngine(), [true], RETENTION_AT_N, EditQualitySettings()
    )
    write(tmp_path, task_results(items), SUITE, 5, stale=True)
    rescore_run(tmp_path)
    with open_store(tmp_path) as store:
        found = {(one.metric, one.protocol): one.value for one in store.measurements()}
    assert found["efficacy", "free_decoding"] == 1.0
    assert found["effective_edits", "free_decoding"] == 1.0
    assert found["efficacy", "teacher_forced"] == 0.0  # no text to read again: as it was stored


def test_unknown_suites_are_left_and_named(tmp_path: Path) -> None:
    found = [
        TaskResult(suite="capitals", task="t", metric="accuracy", protocol="x", value=0.5, stderr=None, n=2)
    ]
    write(tmp_path, found, "capitals", 0, stale=False)
    result = rescore_run(tmp_path)
    assert (result.done, result.left) == ((), ("capitals",))
    assert "--task-file" in result.reasons["capitals"]
    assert stored(tmp_path) == {(0, "accuracy"): 0.5}


@pytest.mark.parametrize(
    ("suite", "reason"),
    [
        ("perplexity", "not read from generated texts"),
        ("alarms", "not of answers"),
        ("lm_eval:arc_easy", "scores these answers itself"),
        ("capitals", "no benchmark of this name is known"),
    ],
)
def test_the_reason_why_a_suite_is_left_is_shown(suite: str, reason: str, tmp_path: Path) -> None:
    found = [TaskResult(suite=suite, task="t", metric="accuracy", protocol="x", value=0.5, n=2)]
    write(tmp_path, found, suite, 0, stale=False)
    assert reason in rescore_run(tmp_path).reasons[suite]
    shown = CliRunner().invoke(app, ["rescore", str(tmp_path)])
    assert shown.exit_code == 0
    assert f"not rescored: {suite}" in " ".join(shown.stdout.split())
    assert reason in " ".join(shown.stdout.split())


def test_a_folder_without_a_run_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(SequelaError, match="no results"):
        rescore_run(tmp_path)


def test_only_the_first_metric_has_the_answers() -> None:
    items: list[ItemRecord] = [item for result in answered(TEXTS) for item in result.items]
    whole = [item for item in items if item.details]
    assert len(whole) == len(TEXTS)
    assert {item.metric for item in whole} == {"accuracy"}
