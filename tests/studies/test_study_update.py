"""A run of an earlier version of a study: what the refusal says, and what `update` makes of its folder."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from sequela.core.errors import SequelaError
from sequela.editors.session import EditSession
from sequela.results import Status, open_store, read_manifest
from sequela.studies import Study, run_study
from sequela.studies.outputs import Outputs
from sequela.studies.study_update import OtherRunError
from support.grown import content_of, is_that_of_a_fresh_run
from support.runs import measured
from support.studies import small_study, write_edits
from support.tiers import quick_cases
from support.world import World

FT_M = {"name": "ft-m", "settings": {"num_steps": 4, "lr": 2e-3}}
GRACE = {"name": "grace", "settings": {"num_steps": 3}}
BUILTIN = {"name": "builtin", "limit": 3, "categories": ["language", "commonsense"]}
PERPLEXITY = {"name": "perplexity", "window": 32}
BASE: dict[str, Any] = {
    "editors": [FT_M],
    "checkpoints": [0, 1, 3],
    "suites": [BUILTIN],
    "order_seeds": [0, 1],
}

Make = Callable[..., Study]


@pytest.fixture(scope="module")
def make(world_folder: Path, world: World, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Makes the study of four edits; keyword arguments are keys that are to differ."""
    edits = write_edits(tmp_path_factory.mktemp("edits") / "facts.jsonl", world, 4)

    def make_study(**changes: Any) -> Study:
        source = {"source": "jsonl", "file": str(edits), "count": 4}
        return Study.model_validate(small_study(world_folder, edits, **{"edits": source, **BASE, **changes}))

    return make_study


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of all runs of this module."""
    return tmp_path_factory.mktemp("shared") / "store"


@pytest.fixture(autouse=True)
def _one_store(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQUELA_STORE", str(shared))


@pytest.fixture(scope="module")
def before(make: Make, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the finished study; for reading only."""
    folder = tmp_path_factory.mktemp("before") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQUELA_STORE", str(shared))
        run_study(make(), folder)
    return folder


@pytest.fixture
def folder(before: Path, tmp_path: Path) -> Path:
    """A copy of the folder of the finished study."""
    return Path(shutil.copytree(before, tmp_path / "run"))


@pytest.fixture(scope="module")
def other_model(world_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The world model with other weights."""
    return with_other_weights(shutil.copytree(world_folder, tmp_path_factory.mktemp("other") / "model"))


def with_other_weights(model: Path) -> Path:
    path = model / "model.safetensors"
    weights = load_file(path)
    weights["model.norm.weight"] = weights["model.norm.weight"] * 1.01
    path.unlink()
    save_file(weights, path, {"format": "pt"})
    return model


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts the edits that are applied and the outputs that are made and stored."""
    counts: Counter[str] = Counter()
    apply_batch, write = EditSession.apply_batch, Outputs.write_measured

    def counted_batch(self: EditSession, *args: Any) -> Any:
        counts["edits"] += 1
        return apply_batch(self, *args)

    def counted_output(self: Outputs, output: Any, *args: Any) -> Any:
        counts[output.about.get("suite", "quality")] += 1
        return write(self, output, *args)

    monkeypatch.setattr(EditSession, "apply_batch", counted_batch)
    monkeypatch.setattr(Outputs, "write_measured", counted_output)
    return counts


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".lock")
    }


class TestRefusal:
    def test_it_says_by_name_what_becomes_of_the_results(self, make: Make, folder: Path) -> None:
        untouched = files_of(folder)
        changed = make(
            editors=[{"name": "ft-m", "settings": {"num_steps": 4, "lr": 1e-3}}, GRACE],
            order_seeds=[1, 2],
            checkpoints=[0, 1, 2],
            suites=[PERPLEXITY],
        )
        with pytest.raises(OtherRunError) as caught:
            run_study(changed, folder)
        assert files_of(folder) == untouched
        (model,) = changed.models
        assert caught.value.message.splitlines() == [
            f"{folder} has the run of another study, or of an earlier version of this one. What differs:",
            "* order_seeds: 0 is gone, with its results",
            "* order_seeds: 2 is new",
            "* checkpoints: 3 is gone, with its results",
            "* checkpoints: 2 is new",
            "* editors: ft-m is changed (lr: 0.002 became 0.001); it is measured again",
            "* editors: grace is new",
            "* suites: builtin is gone, with its results",
            "* suites: perplexity is new",
            "These results stay, as far as they are there:",
            f"* {model}: unedited model: edit_quality",
            "These are removed:",
            f"* {model}: unedited model: builtin",
            f"* {model}: ft-m, shuffle seed 0, after 1, 3 edits: builtin, edit_quality",
            f"* {model}: ft-m, shuffle seed 1, after 1 edit: builtin",
            f"* {model}: ft-m, shuffle seed 1, after 3 edits: builtin, edit_quality",
            "These are measured again:",
            f"* {model}: ft-m, shuffle seed 1, after 1 edit: edit_quality",
            "These are new:",
            f"* {model}: unedited model: perplexity",
            f"* {model}: ft-m, shuffle seed 1, after 1 edit: perplexity",
            f"* {model}: ft-m, shuffle seed 1, after 2 edits: perplexity, edit_quality",
            f"* {model}: ft-m, shuffle seed 2, after 1, 2 edits: perplexity, edit_quality",
            f"* {model}: grace, shuffle seeds 1, 2, after 1, 2 edits: perplexity, edit_quality",
        ]
        assert "--update" in str(caught.value.hint)

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"seed": 5}, "seed: 0 became 5; all trajectories are measured again"),
            ({"dtype": "float16"}, "dtype: 'float32' became 'float16'; everything is measured again"),
            ({"engine": "torch", "device_map": "auto"}, "device_map: None became 'auto'; everything is"),
            ({"alarms": {"every": 1}}, "all trajectories and the health of the unedited model are"),
            (
                {"edit_quality": {"max_new_tokens": 9}},
                "edit quality of the unedited model are measured again",
            ),
            ({"name": "renamed"}, "name: 'small' became 'renamed'; all results stay"),
            ({"order_seeds": [1, 0]}, "order_seeds: they are in another order; all results stay"),
        ],
    )
    def test_other_keys(self, make: Make, folder: Path, changes: dict[str, Any], said: str) -> None:
        with pytest.raises(OtherRunError) as caught:
            run_study(make(**changes), folder)
        assert said in caught.value.message
        assert ("None of its results" in caught.value.message) == ("everything" in said)

    def test_another_number_of_edits_is_another_order(self, make: Make, tmp_path: Path) -> None:
        def without_count(last: int) -> Study:
            study = make(checkpoints=[0, 1, last], order_seeds=[0], suites=[])
            return study.model_copy(update={"edits": study.edits.model_copy(update={"count": None})})

        run_study(without_count(3), tmp_path)
        with pytest.raises(
            OtherRunError, match="there are 4 edits instead of 3, on which their order depends"
        ):
            run_study(without_count(4), tmp_path)
        with pytest.raises(OtherRunError, match=r"with `edits: \{count: 3\}` it stays"):
            run_study(without_count(2), tmp_path)

    def test_other_edits_of_the_same_file(
        self, make: Make, folder: Path, world: World, tmp_path: Path
    ) -> None:
        others = write_edits(tmp_path / "others.jsonl", world, 6)
        lines = others.read_text().splitlines(keepends=True)
        others.write_text("".join(lines[2:]))
        study = make(edits={"source": "jsonl", "file": str(others), "count": 4})
        with pytest.raises(OtherRunError, match="these are other edits than those of the run; everything is"):
            run_study(study, folder)
        moved = Path(shutil.copy(str(make().edits.file), tmp_path / "moved.jsonl"))
        study = make(edits={"source": "jsonl", "file": str(moved), "count": 4})
        with pytest.raises(OtherRunError, match="with the same edits; all results stay"):
            run_study(study, folder)

    def test_results_of_a_newer_version(self, make: Make, folder: Path) -> None:
        with closing(sqlite3.connect(folder / "results.sqlite")) as connection, connection:
            connection.execute("UPDATE store SET schema_version = 99")
        before = read_manifest(folder)
        for update in (False, True):
            with pytest.raises(SequelaError, match="schema version 99; this version of sequela") as caught:
                run_study(make(), folder, update=update)
            assert "newer version" in str(caught.value.hint)
            assert read_manifest(folder) == before

    def test_a_finished_run_that_is_refused_for_another_reason_stays_complete(
        self, make: Make, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fails(*_: object, **__: object) -> object:
            raise SequelaError("The model is gone.")

        monkeypatch.setattr("sequela.studies.model_workspace.load_model", fails)
        before = read_manifest(folder)
        with pytest.raises(SequelaError):
            run_study(make(), folder)
        assert read_manifest(folder) == before
        assert before.status is Status.COMPLETE


CHANGES: dict[str, dict[str, Any]] = {
    "a method before": {"editors": [GRACE, FT_M]},
    "a checkpoint between": {"checkpoints": [0, 1, 2, 3]},
    "no checkpoint between": {"checkpoints": [0, 3]},
    "an order before, another less": {"order_seeds": [2, 1]},
    "alarms that end it": {"alarms": {"every": 1, "stop_when": "kl_to_base > 1e-9"}},
    "a checkpoint after": {"checkpoints": [0, 1, 3, 4]},
    "no last checkpoint": {"checkpoints": [0, 1]},
    "other settings": {"editors": [{"name": "ft-m", "settings": {"num_steps": 5, "lr": 2e-3}}]},
    "larger batches": {"editors": [{**FT_M, "batch_size": 3}], "checkpoints": [0, 3, 4]},
    "another method": {"editors": [GRACE]},
    "two of a method": {"editors": [{**FT_M, "batch_size": 3}, FT_M], "checkpoints": [0, 3]},
    "a suite more": {"suites": [BUILTIN, PERPLEXITY]},
    "no suite": {"suites": []},
    "fewer items": {"suites": [{**BUILTIN, "limit": 2}]},
    "another seed": {"seed": 3},
    "another measurement of edits": {"edit_quality": {"max_new_tokens": 7, "max_neighborhood": 1}},
}


@pytest.mark.parametrize("changed", quick_cases(CHANGES, list(CHANGES)[:4]))
def test_an_updated_folder_is_that_of_a_fresh_run(
    make: Make, folder: Path, tmp_path: Path, changed: str
) -> None:
    changes = CHANGES[changed]
    started = read_manifest(folder).started
    result = run_study(make(**changes), folder, command="sequela run --update", update=True)
    assert result.status is Status.COMPLETE
    manifest = read_manifest(folder)
    assert (manifest.started, len(manifest.history)) == (started, 1)
    assert manifest.history[0].command == "sequela run --update"
    assert manifest.history[0].changes
    is_that_of_a_fresh_run(folder, make(**changes), tmp_path / "fresh")


@pytest.mark.slow
def test_models_come_and_go(make: Make, folder: Path, tmp_path: Path, other_model: Path) -> None:
    (world_model,) = make().models
    for number, models in enumerate(([world_model, str(other_model)], [str(other_model)])):
        study = make(models=models, order_seeds=[0])
        run_study(study, folder, update=True)
        is_that_of_a_fresh_run(folder, study, tmp_path / f"fresh {number}")
    assert len(read_manifest(folder).history) == 2


@pytest.mark.parametrize(
    ("changes", "made"),
    [
        ({"editors": [FT_M, {"name": "ft-m", "batch_size": 3, "settings": FT_M["settings"]}],
          "checkpoints": [0, 3]}, {"edits": 2, "builtin": 2, "quality": 2}),
        ({"checkpoints": [0, 1, 3, 4]}, {"edits": 2, "builtin": 2, "quality": 2}),
        ({"suites": [BUILTIN, {**PERPLEXITY, "window": 31}]}, {"perplexity": 5}),
        # The new order begins with the same edit as one of the others.
        ({"order_seeds": [0, 7, 1]}, {"edits": 2, "builtin": 1, "quality": 1}),
        ({"order_seeds": [1], "checkpoints": [0, 1], "suites": []}, {}),
    ],
)  # fmt: skip
def test_only_what_is_new_is_done(
    make: Make,
    folder: Path,
    tmp_path: Path,
    shared: Path,
    monkeypatch: pytest.MonkeyPatch,
    written: Counter[str],
    changes: dict[str, Any],
    made: dict[str, int],
) -> None:
    monkeypatch.setenv("SEQUELA_STORE", str(shutil.copytree(shared, tmp_path / "store")))
    run_study(make(**changes), folder, update=True)
    assert dict(written) == made
    written.clear()
    again = content_of(folder)
    run_study(make(**changes), folder, update=True)
    assert not written
    assert content_of(folder) == again


PLACES = {
    "rows": "sequela.results.store.remove_rows",
    "files": "sequela.results.store.remove_item_files",
    "checkpoints": "sequela.studies.study_update.shutil.rmtree",
    "manifest": "sequela.studies.run.write_manifest",
    "tasks": "sequela.studies.run.run_tasks",
}
"""The functions in which an update is killed."""


@pytest.mark.parametrize("at", quick_cases(PLACES, ["manifest", "tasks"]))
def test_an_update_that_is_killed_goes_on(
    make: Make, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    study = make(editors=[GRACE, FT_M], checkpoints=[0, 1, 2], order_seeds=[1])

    def killed(*_: object, **__: object) -> None:
        raise SystemExit(9)

    with monkeypatch.context() as patch:
        patch.setattr(PLACES[at], killed)
        with pytest.raises(SystemExit):
            run_study(study, folder, update=True)
    with open_store(folder) as store:
        assert store.damage() == []
    # Before the manifest of the new study is there, the folder has a run of the former one.
    run_study(study, folder, update=at != "tasks")
    is_that_of_a_fresh_run(folder, study, tmp_path / "fresh")


def test_going_back_takes_everything_from_the_store(
    make: Make, before: Path, folder: Path, written: Counter[str]
) -> None:
    run_study(make(order_seeds=[0], checkpoints=[0, 1]), folder, update=True)
    run_study(make(), folder, update=True)
    assert not written
    assert measured(folder) == measured(before)
    assert [len(one.changes) for one in read_manifest(folder).history] == [2, 2]


def test_a_run_of_an_earlier_version_without_keys_is_measured_again(
    make: Make, folder: Path, tmp_path: Path
) -> None:
    manifest = folder / "manifest.json"
    former = json.loads(manifest.read_text())
    for name in ("digest", "format", "history", "early_ends", "trajectory_keys"):
        del former[name]
    manifest.write_text(json.dumps(former))
    study = make(checkpoints=[0, 1, 2])
    run_study(study, folder, update=True)
    is_that_of_a_fresh_run(folder, study, tmp_path / "fresh")
