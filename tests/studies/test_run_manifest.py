"""The manifest of a small study, and runs that do not belong to it."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sequela.core.errors import SequelaError, UnknownNameError
from sequela.core.precision import choose_precision
from sequela.editors import method_info
from sequela.editors.presets import Preset, write_preset
from sequela.results import (
    read_manifest,
    write_manifest,
)
from sequela.studies import Study, run_study
from support.runs import (
    MessageLog,
    edit_records,
    measured,
)
from support.studies import write_edits
from support.world import World

MakeStudy = Callable[..., Study]


def ft_m_preset(lr: float) -> Preset:
    return Preset(
        editor="ft-m", models=("any",), presets=("recommended",), provenance="tuned", source="this test",
        settings={"lr": lr, "num_steps": 5},
    )  # fmt: skip


class TestManifest:
    def test_the_manifest_describes_the_run(self, finished: Path, make_study: MakeStudy) -> None:
        manifest = read_manifest(finished)
        given = make_study().model_dump(mode="json")
        reported = [editor.pop("settings") for editor in manifest.config["editors"]]
        for settings, editor in zip(reported, given["editors"], strict=True):
            # What was given, and every default beside it: a version with others can't go on.
            assert set(method_info(editor["name"]).settings.model_fields) == set(settings)
            assert editor.pop("settings").items() <= settings.items()
        assert manifest.config == given
        assert set(manifest.suite_versions) == {"edit_quality", "builtin", "perplexity"}
        assert set(manifest.model_hashes) == set(make_study().models)
        study, version = make_study(), importlib.metadata.version("sequela")
        named = {("editor", editor.name) for editor in study.editors}
        named |= {("suite", suite.name) for suite in study.suites}
        named |= {("edit source", study.edits.source), ("engine", study.engine), ("family", "llama")}
        assert named <= {(one.kind, one.name) for one in manifest.components}
        assert {(one.distribution, one.version) for one in manifest.components} == {("sequela", version)}
        assert manifest.plugins == ()


class TestOtherRuns:
    def test_a_changed_study_is_rejected_in_the_same_folder(
        self, make_study: MakeStudy, finished: Path, tmp_path: Path
    ) -> None:
        folder = shutil.copytree(finished, tmp_path / "run")
        with pytest.raises(SequelaError, match="another study") as caught:
            run_study(make_study(checkpoints=[0, 2]), folder)
        assert "--output" in str(caught.value)
        assert read_manifest(folder) == read_manifest(finished)

    def test_a_changed_model_is_rejected(self, make_study: MakeStudy, finished: Path, tmp_path: Path) -> None:
        folder = shutil.copytree(finished, tmp_path / "run")
        path = folder / "manifest.json"
        manifest = json.loads(path.read_text())
        (name,) = manifest["model_hashes"]
        manifest["model_hashes"][name] = "0" * 16
        del manifest["digest"]  # as a person does who changes a document
        path.write_text(json.dumps(manifest))
        with pytest.raises(SequelaError, match="no longer the model"):
            run_study(make_study(), folder)

    @pytest.mark.parametrize("changed", ["preset", "text"])
    def test_what_the_study_only_names_must_not_change(
        self, changed: str, make_study: MakeStudy, tmp_path: Path
    ) -> None:
        preset, text = tmp_path / "preset.yaml", tmp_path / "text.txt"
        write_preset(preset, ft_m_preset(lr=0.01))
        text.write_text("The king of Ruritania lives in Strelsau. " * 40)
        study = make_study(
            editors=[{"name": "ft-m", "settings": {"preset": str(preset)}}],
            statistics={"source": str(text)},
            checkpoints=[0, 1],
            suites=[],
        )
        folder = tmp_path / "run"
        run_study(study, folder)
        before = (read_manifest(folder), measured(folder))
        if changed == "preset":
            write_preset(preset, ft_m_preset(lr=0.02))
        else:
            text.write_text("The king of Ruritania lives in Zenda. " * 40)
        with pytest.raises(SequelaError, match="no longer the method"):
            run_study(study, folder)
        assert (read_manifest(folder), measured(folder)) == before

    def test_a_run_without_keys_of_trajectories_is_compared_with_its_results(
        self, make_study: MakeStudy, tmp_path: Path
    ) -> None:
        """Manifests of earlier versions have none."""
        preset, folder = tmp_path / "preset.yaml", tmp_path / "run"
        write_preset(preset, ft_m_preset(lr=0.01))
        editors = [{"name": "ft-m", "settings": {"preset": str(preset)}}]
        study = make_study(editors=editors, checkpoints=[0, 1], suites=[])
        done = run_study(study, folder)
        write_manifest(folder, read_manifest(folder).model_copy(update={"trajectory_keys": {}}))
        assert run_study(study, folder) == done
        write_preset(preset, ft_m_preset(lr=0.02))
        with pytest.raises(SequelaError, match="no longer the method"):
            run_study(study, folder)

    def test_a_network_that_was_trained_anew_is_rejected(self, make_study: MakeStudy, tmp_path: Path) -> None:
        editors = [{"name": "mend", "settings": {"artifact": "identity"}}]
        study = make_study(editors=editors, checkpoints=[0, 1], suites=[])
        run_study(study, tmp_path)
        manifest = read_manifest(tmp_path)
        (name,) = [name for name in manifest.input_hashes if name.endswith(", network")]
        other = manifest.model_copy(update={"input_hashes": {**manifest.input_hashes, name: "0" * 16}})
        write_manifest(tmp_path, other)
        with pytest.raises(SequelaError, match="network: no longer what the run"):
            run_study(study, tmp_path)
        assert read_manifest(tmp_path) == other

    def test_other_demonstrations_are_rejected(
        self, make_study: MakeStudy, world: World, tmp_path: Path
    ) -> None:
        demonstrations = write_edits(tmp_path / "demonstrations.jsonl", world, 20)
        settings = {"demonstrations": str(demonstrations), "n_demonstrations": 1, "retriever": "words"}
        study = make_study(editors=[{"name": "ike", "settings": settings}], checkpoints=[0, 1], suites=[])
        folder = tmp_path / "run"
        run_study(study, folder)
        before = (read_manifest(folder), measured(folder))
        write_edits(demonstrations, world, 19)
        with pytest.raises(SequelaError, match="ike, demonstrations: no longer what the run"):
            run_study(study, folder)
        assert (read_manifest(folder), measured(folder)) == before

    def test_other_end_tokens_are_rejected(
        self, make_study: MakeStudy, world_folder: Path, tmp_path: Path
    ) -> None:
        model = shutil.copytree(world_folder, tmp_path / "model")
        study = make_study(
            models=[str(model)],
            editors=[{"name": "ft-m", "settings": {"num_steps": 1}}],
            checkpoints=[0, 1],
            suites=[],
        )
        folder = tmp_path / "run"
        run_study(study, folder)
        path = model / "generation_config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "eos_token_id": [0, 5]}))
        with pytest.raises(SequelaError, match="end tokens: no longer what the run"):
            run_study(study, folder)

    def test_two_names_of_one_model_are_rejected(
        self, make_study: MakeStudy, world_folder: Path, tmp_path: Path
    ) -> None:
        twin = tmp_path / "twin"
        twin.symlink_to(world_folder)
        study = make_study(
            models=[str(world_folder), str(twin)], editors=["ft-m"], checkpoints=[0, 1], suites=[]
        )
        with pytest.raises(SequelaError, match="are the same model"):
            run_study(study, tmp_path / "run")


class TestPrecision:
    def test_auto_precision_follows_the_hardware_and_is_recorded(
        self, make_study: MakeStudy, tmp_path: Path
    ) -> None:
        log = MessageLog()
        study = make_study(dtype="auto", editors=["ft-m"], checkpoints=[0, 1], suites=[])
        run_study(study, tmp_path / "run", log)
        chosen = choose_precision("auto", torch.device("cpu"))
        manifest = read_manifest(tmp_path / "run")
        assert manifest.config["dtype"] == chosen.name
        assert manifest.environment.precision == str(chosen)
        assert f"weights in {chosen}" in log.lines
        with pytest.raises(SequelaError, match="another study"):
            run_study(study.model_copy(update={"dtype": "float16"}), tmp_path / "run")

    def test_methods_edit_a_model_in_bfloat16(self, make_study: MakeStudy, tmp_path: Path) -> None:
        run_study(make_study(dtype="bfloat16"), tmp_path / "run")
        assert read_manifest(tmp_path / "run").environment.precision == "bfloat16"
        assert not any(record.dropped for record in edit_records(tmp_path / "run"))
        for one in measured(tmp_path / "run"):
            assert (one.n_nonfinite, one.n_too_long) == (0, 0)

    def test_an_unknown_one_is_reported(self, make_study: MakeStudy, tmp_path: Path) -> None:
        with pytest.raises(UnknownNameError, match="float23"):
            run_study(make_study().model_copy(update={"dtype": "float23"}), tmp_path / "run")
        assert not (tmp_path / "run" / "manifest.json").exists()
