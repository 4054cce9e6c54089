"""Estimates of studies, compared with what runs then do."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sequela.core.errors import BadInputError, SequelaError
from sequela.models import load_model
from sequela.planning import Estimate, Options, device_profile, estimate_study
from sequela.results import open_store as open_results
from sequela.store import Kind, open_store
from sequela.studies import Study, run_study


def stored(estimate: Estimate) -> int:
    return sum(bool(task.stored) for task in estimate.tasks)


def unknown(estimate: Estimate) -> int:
    return sum(task.stored is None for task in estimate.tasks)


def test_a_study_that_was_run_is_in_the_store_and_one_that_grew_is_partly(
    make_study: Callable[..., Study], tmp_path: Path
) -> None:
    study = make_study()
    before = estimate_study(study)
    prepared = sum(task.kind == "prepare" for task in before.tasks)
    assert unknown(before) == len(before.tasks) - prepared  # no fingerprint, so nobody can look
    assert any("--check-store" in note for note in before.models[0].notes)

    run_study(study, tmp_path / "run")
    after = estimate_study(study)
    assert stored(after) == len(after.tasks) - prepared
    assert unknown(after) == 0
    assert after.seconds < before.seconds
    assert after.disk.total == 0

    grown = estimate_study(
        make_study(checkpoints=[0, 1, 2, 4], edits={**study.edits.model_dump(), "count": 4})
    )
    assert stored(grown) < len(grown.tasks)  # other edits, so another order: what is shared is the model's
    more = estimate_study(make_study(suites=[*study.model_dump()["suites"], "refusal"]))
    new = [task for task in more.tasks if not task.stored and task.kind != "prepare"]
    assert {task.what for task in new} == {"refusal"}
    assert len(new) == 5  # the unedited model, and two checkpoints with each of two methods


def test_its_tasks_are_those_of_the_run(make_study: Callable[..., Study], tmp_path: Path) -> None:
    study = make_study(order_seeds=[0, 1], alarms={"every": 1})
    estimate = estimate_study(study)
    run_study(study, tmp_path / "run")
    kinds = {Kind.BASELINE, Kind.CHECKPOINT, Kind.EVALUATION}
    objects = list(open_store().entries(kinds))
    assert len(objects) == sum(task.kind != "prepare" for task in estimate.tasks)
    with open_results(tmp_path / "run") as results:
        assert estimate.grid.n_evaluations == len(list(results.evaluations()))
    assert estimate.grid.n_applied == 8


def test_the_store_is_looked_at_if_it_is_asked_for(make_study: Callable[..., Study], tmp_path: Path) -> None:
    study = make_study(editors=["ft-m"], suites=[])
    run_study(study, tmp_path / "run")
    shutil.rmtree(tmp_path / "cache" / "fingerprints")
    assert stored(estimate_study(study)) == 0
    looked = estimate_study(study, options=Options(check_store=True))
    assert (stored(looked), unknown(looked)) == (len(looked.tasks) - 1, 0)


@pytest.mark.slow
def test_checkpoints_take_the_estimated_space(make_study: Callable[..., Study], tmp_path: Path) -> None:
    study = make_study(editors=["rome", "ft-m", "grace"], checkpoints=[0, 4], suites=[])
    estimate = estimate_study(study)
    run_study(study, tmp_path / "run")
    real = sum(entry.size for entry in open_store().entries([Kind.CHECKPOINT]))
    expected = sum(task.disk.total for task in estimate.tasks if task.kind == "edit")
    assert expected == pytest.approx(real, rel=0.5)
    deltas = sum(
        file.size
        for entry in open_store().entries([Kind.CHECKPOINT])
        if entry.description is not None
        for file in entry.description.files
        if file.name.endswith(".safetensors")
    )
    assert deltas < real


def test_a_measurement_is_kept_and_used(make_study: Callable[..., Study], tmp_path: Path) -> None:
    study = make_study(suites=["perplexity"])
    guessed = estimate_study(study).models[0]
    assert "untried" in guessed.basis
    measured = estimate_study(study, options=Options(calibrate="again")).models[0]
    assert measured.basis == "measured on this machine"
    assert len(list((tmp_path / "cache" / "calibrations").iterdir())) == 1
    again = estimate_study(study).models[0]
    assert (again.basis, again.load_seconds) == (measured.basis, measured.load_seconds)
    assert again.seconds == pytest.approx(measured.seconds, rel=0.5)  # only the time beside the model differs
    other = estimate_study(make_study(editors=["grace"], suites=["perplexity"])).models[0]
    assert other.basis == measured.basis
    assert any("grace" in note and "untried" in note for note in other.notes)
    assert "untried" in estimate_study(study, options=Options(calibrate="never")).models[0].basis


def test_measuring_loads_the_model_so_that_the_store_can_be_looked_at(
    make_study: Callable[..., Study],
) -> None:
    study = make_study(editors=["ft-m"], suites=[])
    assert unknown(estimate_study(study, options=Options(calibrate="again"))) == 0


def test_a_profile_needs_no_weights(make_study: Callable[..., Study], tmp_path: Path) -> None:
    folder = tmp_path / "model"
    loaded = load_model(make_study().models[0], device="cpu")
    loaded.module.config.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
    study = make_study(models=[str(folder)], editors=["memit", "ft-m"])
    slow = estimate_study(study, options=Options(profile=device_profile("cpu-2-core")))
    fast = estimate_study(study, options=Options(profile=device_profile("cpu-32-core")))
    assert slow.models[0].basis == "estimated from the profile cpu-2-core, untried"
    assert fast.seconds < slow.seconds
    assert slow.models[0].statistics_tokens == 10 * loaded.key_size
    assert slow.models[0].gradient_steps == (25 + 25) * 2
    gpu = estimate_study(study, options=Options(profile=device_profile("h100")))
    assert gpu.models[0].memory.on_gpu
    measured = estimate_study(study, options=Options(calibrate="again"))
    assert any("can't be measured" in note for note in measured.models[0].notes)


def test_methods_whose_inputs_are_unknown_are_not_looked_up(
    make_study: Callable[..., Study], tmp_path: Path
) -> None:
    study = make_study(
        editors=["ft-m", {"name": "mend", "settings": {"artifact": "identity"}}],
        checkpoints=[0, 1],
        suites=[],
    )
    run_study(study, tmp_path / "run")
    estimate = estimate_study(study)
    assert {task.of.split()[0] for task in estimate.tasks if task.stored is None} == {"mend"}
    assert any("mend" in note and "not looked at" in note for note in estimate.models[0].notes)


def test_an_unknown_model_is_an_error(make_study: Callable[..., Study]) -> None:
    with pytest.raises(SequelaError, match="no configuration"):
        estimate_study(make_study(models=["no-such/model"]))


def test_a_chat_template_that_the_model_lacks_is_an_error(make_study: Callable[..., Study]) -> None:
    with pytest.raises(BadInputError, match="chat template"):
        estimate_study(make_study(evaluation_template="chat"))
