"""Changes beside the study file: a resumed run is refused, an updated one measures again, none mixes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from sequela.core.errors import SequelaError
from sequela.editors.methods.fine_tuning.editor import FineTuning
from sequela.editors.presets import Preset, write_preset
from sequela.results import ResultsStore, open_store, read_manifest, write_manifest
from sequela.studies import Study, run_study
from support.grown import content_of, is_that_of_a_fresh_run
from support.own_task import OWN
from support.studies import write_edits
from support.world import World

MakeStudy = Callable[..., Study]

FT_M = {"name": "ft-m", "settings": {"num_steps": 3}}
GRACE = {"name": "grace", "settings": {"num_steps": 2}}


class Case:
    """A study whose folder has something that it only names, and a change of that.

    Args:
        study: The study.
        change: Changes what the study names.
        refused: What the refusal of the resumed run says.
        kept: The methods whose results an update keeps; `none` is the unedited model.
    """

    def __init__(self, study: Study, change: Callable[[], None], refused: str, kept: set[str]) -> None:
        self.study = study
        self.change = change
        self.refused = refused
        self.kept = kept


def preset_of(case: Path, make_study: MakeStudy, **_: Any) -> Case:
    path = case / "preset.yaml"

    def write(lr: float) -> None:
        write_preset(path, Preset(
            editor="ft-m", models=("any",), presets=("recommended",), provenance="tuned", source="this test",
            settings={"lr": lr, "num_steps": 3},
        ))  # fmt: skip

    write(0.01)
    study = make_study(editors=[GRACE, {"name": "ft-m", "settings": {"preset": str(path)}}], **SMALL)
    return Case(study, lambda: write(0.02), "no longer the method", {"none", "grace"})


def text_of(case: Path, make_study: MakeStudy, **_: Any) -> Case:
    text = case / "text.txt"

    def write(place: str) -> None:
        text.write_text(f"The king of Ruritania lives in {place}. " * 40)

    write("Strelsau")
    study = make_study(editors=[FT_M], statistics={"source": str(text)}, **SMALL)
    return Case(study, lambda: write("Zenda"), "no longer the method", {"none"})


def demonstrations_of(case: Path, make_study: MakeStudy, world: World, **_: Any) -> Case:
    path = write_edits(case / "demonstrations.jsonl", world, 20)
    settings = {"demonstrations": str(path), "n_demonstrations": 1, "retriever": "words"}
    study = make_study(editors=[FT_M, {"name": "ike", "settings": settings}], **SMALL)

    def change() -> None:
        write_edits(path, world, 19)

    return Case(study, change, "demonstrations: no longer what the run", {"none", "ft-m"})


def end_tokens_of(case: Path, make_study: MakeStudy, model: Path, **_: Any) -> Case:
    path = model / "generation_config.json"

    def change() -> None:
        path.write_text(json.dumps({**json.loads(path.read_text()), "eos_token_id": [0, 5]}))

    study = make_study(models=[str(model)], editors=[FT_M], **SMALL)
    return Case(study, change, "end tokens: no longer what the run", set())


def weights_of(case: Path, make_study: MakeStudy, model: Path, **_: Any) -> Case:
    path = model / "model.safetensors"

    def change() -> None:
        weights = load_file(path)
        weights["model.norm.weight"] = weights["model.norm.weight"] * 1.01
        path.unlink()
        save_file(weights, path, {"format": "pt"})

    study = make_study(models=[str(model)], editors=[FT_M], **SMALL)
    return Case(study, change, "no longer the model", set())


def items_of(case: Path, make_study: MakeStudy, **_: Any) -> Case:
    items, task = case / "capitals.jsonl", case / "capitals.yaml"
    task.write_text(OWN)

    def write(*capitals: tuple[str, str]) -> None:
        lines = [json.dumps({"country": country, "capital": capital}) for country, capital in capitals]
        items.write_text("\n".join(lines) + "\n")

    write(("Ruritania", "Strelsau"), ("Graustark", "Edelweiss"))
    study = make_study(editors=[FT_M], **{**SMALL, "suites": [{"name": str(task)}]})

    def change() -> None:
        write(("Ruritania", "Zenda"), ("Graustark", "Edelweiss"))

    return Case(study, change, "items, prompts or rules of .*capitals.* are others", {"none", "ft-m"})


def rules_of(case: Path, make_study: MakeStudy, monkeypatch: pytest.MonkeyPatch, **_: Any) -> Case:
    def change() -> None:
        monkeypatch.setattr(FineTuning, "revision", lambda self, model: "another")

    study = make_study(editors=[GRACE, FT_M], **SMALL)
    return Case(study, change, "no longer the method", {"none", "grace"})


SMALL: dict[str, Any] = {"checkpoints": [0, 1], "suites": []}


@pytest.mark.parametrize(
    "made",
    [
        preset_of,
        weights_of,
        pytest.param(text_of, marks=pytest.mark.slow),
        pytest.param(demonstrations_of, marks=pytest.mark.slow),
        pytest.param(end_tokens_of, marks=pytest.mark.slow),
        items_of,
        pytest.param(rules_of, marks=pytest.mark.slow),
    ],
)
def test_what_the_study_only_names(
    made: Callable[..., Case],
    make_study: MakeStudy,
    world: World,
    world_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = Path(shutil.copytree(world_folder, tmp_path / "model"))
    given = {"model": model, "world": world, "monkeypatch": monkeypatch}
    case = made(tmp_path, make_study, **given)
    folder = tmp_path / "run"
    run_study(case.study, folder)
    before, manifest = content_of(folder), read_manifest(folder)
    case.change()
    with pytest.raises(SequelaError, match=case.refused) as caught:
        run_study(case.study, folder)
    assert "--update" in str(caught.value)
    assert content_of(folder) == before
    assert read_manifest(folder) == manifest

    kept: list[set[str]] = []
    retain = ResultsStore.retain

    def noted(self: ResultsStore, *args: Any) -> int:
        removed = retain(self, *args)
        kept.append({one.editor for one in self.measurements()})
        return removed

    monkeypatch.setattr(ResultsStore, "retain", noted)
    run_study(case.study, folder, update=True)
    assert kept[-1] == case.kept
    assert read_manifest(folder).history
    is_that_of_a_fresh_run(folder, case.study, tmp_path / "fresh")


def test_a_network_that_was_trained_anew(make_study: MakeStudy, tmp_path: Path) -> None:
    editors = [{"name": "mend", "batch_size": 2, "settings": {"artifact": "identity"}}, FT_M]
    study = make_study(editors=editors, checkpoints=[0, 2], suites=[])
    folder = tmp_path / "run"
    run_study(study, folder)
    manifest = read_manifest(folder)
    (name,) = [name for name in manifest.input_hashes if name.endswith(", network")]
    other = manifest.model_copy(update={"input_hashes": {**manifest.input_hashes, name: "0" * 16}})
    write_manifest(folder, other)
    larger = make_study(editors=editors, checkpoints=[0, 2], suites=[{"name": "perplexity", "window": 32}])
    with open_store(folder) as store:
        before = set(store.evaluations())
    run_study(larger, folder, update=True)
    said = [change for entry in read_manifest(folder).history for change in entry.changes]
    assert said == ["suites: perplexity is new", f"{name}: no longer what they were"]
    is_that_of_a_fresh_run(folder, larger, tmp_path / "fresh")
    with open_store(folder) as store:
        in_order = store.evaluations()
        added = [key for key in in_order if key not in before]
        of_mend = {one.trajectory for one in store.edit_records() if one.editor == "mend"}
    # Those of the other network were removed, and written again after what stayed.
    stayed = in_order[: len([key for key in before if key.trajectory not in of_mend])]
    assert not {key.trajectory for key in stayed} & of_mend
    assert {key.suite for key in added} == {"perplexity"}
