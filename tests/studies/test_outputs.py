"""Outputs of tasks: what was stored is what is read, and damage is an error that names the file."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from sequela.core.errors import SequelaError
from sequela.core.precision import Precision
from sequela.core.progress import SILENT
from sequela.store import DamagedObjectError, Kind, open_store
from sequela.studies import Study, run_study
from sequela.studies.model_workspace import ModelWorkspace
from sequela.studies.outputs import Health, Measured, Outputs, Unedited
from sequela.studies.plan import make_plan
from sequela.studies.task_keys import Output
from support.runs import edit_records, measured

MakeStudy = Callable[..., Study]


@pytest.fixture
def outputs() -> Outputs:
    return Outputs(open_store())


def output(kind: Kind, name: str) -> Output:
    return Output(kind, {"name": name})


def test_answers_with_any_characters(outputs: Outputs) -> None:
    stored = Unedited(answers={"0/a": "Ülm \n\u2028", "1": ""}, texts={"0": '"}{'})
    outputs.write_unedited(output(Kind.BASELINE, "answers"), stored)
    assert outputs.read_unedited(output(Kind.BASELINE, "answers").address) == stored


def test_health_metrics_that_are_no_finite_numbers(outputs: Outputs) -> None:
    metrics = {"perplexity": math.inf, "norm": math.nan, "entropy": 0.1}
    stored = Health(n_edits=3, metrics=metrics, model_hash="0", seconds=0.5)
    outputs.write_health(output(Kind.BASELINE, "health"), stored)
    found = outputs.read_health(output(Kind.BASELINE, "health").address)
    assert found.metrics["perplexity"] == math.inf
    assert math.isnan(found.metrics["norm"])
    assert found.metrics["entropy"] == 0.1


def test_a_measurement_without_items(outputs: Outputs) -> None:
    stored = Measured(model_hash="0", seconds=1.0, peak_memory_bytes=None, results=(), items=())
    outputs.write_measured(output(Kind.EVALUATION, "empty"), stored)
    assert outputs.read_measured(output(Kind.EVALUATION, "empty").address) == stored


def test_results_have_the_items_that_were_measured(
    make_study: MakeStudy, outputs: Outputs, tmp_path: Path
) -> None:
    run_study(make_study(editors=["ft-m"]), tmp_path / "run")
    shown = {one.series: one.value for one in measured(tmp_path / "run", n_edits=0)}
    found = [outputs.read_measured(one.address) for one in outputs.store.entries([Kind.EVALUATION])]
    of_suites = [result for one in found for result in one.results]
    assert {one.series for one in of_suites} <= set(shown)
    for one in found:
        assert [item for result in one.results for item in result.items] == list(
            one.items if one.results else ()
        )
    (longest,) = (
        log
        for one in outputs.store.entries([Kind.CHECKPOINT])
        for log, _ in [outputs.read_log(one.address)]
        if log.n_edits == 2
    )
    assert [report.edit_id for report in longest.reports] == [
        one.edit_id for one in edit_records(tmp_path / "run")
    ]


def test_a_document_of_another_form_is_named(outputs: Outputs) -> None:
    outputs.write_health(
        output(Kind.BASELINE, "health"), Health(n_edits=0, metrics={}, model_hash="0", seconds=0)
    )
    with pytest.raises(SequelaError, match=r"answers\.json"):
        outputs.read_unedited(output(Kind.BASELINE, "health").address)


def test_a_changed_byte_is_named(outputs: Outputs) -> None:
    of = output(Kind.BASELINE, "answers")
    outputs.write_unedited(of, Unedited(answers={"0": "Ulm"}, texts={}))
    path = outputs.store.fetch(of.address) / "answers.json"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"Ulm", b"Uln"))
    with pytest.raises(DamagedObjectError, match=r"answers\.json"):
        Outputs(open_store()).read_unedited(of.address)


def test_a_checkpoint_is_the_one_that_was_stored(
    make_study: MakeStudy, outputs: Outputs, tmp_path: Path
) -> None:
    study = make_study(editors=["ft-m"], checkpoints=[0, 2], suites=[])
    run_study(study, tmp_path / "run")
    plan = make_plan(study)
    (stored,) = outputs.store.entries([Kind.CHECKPOINT])
    workspace = ModelWorkspace(plan, study.models[0], Precision("float32"), SILENT)
    session = workspace.trajectories[0, None, 0].session
    read = outputs.read_checkpoint(stored.address, 2, workspace.model, session.editor)
    assert read.n_edits == 2
    (measurement,) = outputs.store.entries([Kind.EVALUATION])
    assert session.edited(read).content_hash == outputs.read_measured(measurement.address).model_hash
