"""`sequela trace`, `sequela tune` and `sequela presets`."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from support.commands import Sequela

FAST = ("--axis", "layers=[[1],[2]]", "--axis", "num_steps=[2,25]", "--axis", "lr=[0.002]")


class TestTrace:
    def test_it_reports_a_layer_and_draws_a_heat_map(
        self, sequela: Sequela, world_folder: Path, edits_file: Path, tmp_path: Path
    ) -> None:
        picture = tmp_path / "trace.html"
        answer = sequela(
            "trace", world_folder, "--edits", edits_file, "--count", 2, "--samples", 2, "-o", picture
        )
        assert answer.exit_code == 0
        assert "last subject token" in answer.stdout
        assert "has the largest gain" in answer.stdout
        page = picture.read_text(encoding="utf-8")
        assert "vegaEmbed" in page
        assert 'src="https' not in page

    def test_json_has_every_number(self, sequela: Sequela, world_folder: Path, edits_file: Path) -> None:
        reported = sequela(
            "trace", world_folder, "--edits", edits_file, "--count", 2, "--kind", "value", "--json"
        ).json
        assert reported["settings"]["kind"] == "value"
        assert len(reported["prompts"]) == 2
        for prompt in reported["prompts"]:
            assert len(prompt["restored"]) == len(prompt["tokens"])
            assert prompt["clean"] > prompt["corrupted"]
        assert len(reported["gain"]) == len(reported["places"])

    def test_an_unknown_file_format_is_rejected_before_anything_slow(self, sequela: Sequela) -> None:
        answer = sequela("trace", "no-such-model", "-o", "trace.pdf")
        assert answer.exit_code == 2
        assert ".html, .svg, .png" in answer.stderr


class TestTune:
    @pytest.fixture
    def tuned(self, sequela: Sequela, world_folder: Path, edits_file: Path, tmp_path: Path) -> Path:
        path = tmp_path / "tuned.yaml"
        answer = sequela(
            "tune", world_folder, "--editor", "ft-m", "--edits", edits_file, "--count", 2, *FAST, "-o", path
        )
        assert answer.exit_code == 0, answer.stderr
        assert "best first" in answer.stdout
        assert str(path) in answer.stdout
        return path

    def test_it_writes_the_best_settings_with_all_trials(self, tuned: Path) -> None:
        preset = yaml.safe_load(tuned.read_text())
        assert preset["provenance"] == "tuned"
        assert "sequela" in preset["source"]
        assert len(preset["evidence"]) == 4
        scores = [trial["score"] for trial in preset["evidence"]]
        assert scores == sorted(scores, reverse=True)
        assert scores[0] > 0
        assert preset["settings"] == preset["evidence"][0]["settings"]
        assert preset["settings"]["num_steps"] == 25

    def test_edit_uses_the_preset(
        self, sequela: Sequela, tuned: Path, world_folder: Path, edits_file: Path, tmp_path: Path
    ) -> None:
        settings = tmp_path / "own.yaml"
        settings.write_text(yaml.safe_dump({"preset": str(tuned), "num_steps": 3}))
        reported = sequela(
            "edit", "-m", world_folder, "-e", "ft-m", "--edits", edits_file, "--hparams", settings, "--json"
        ).json
        preset = yaml.safe_load(tuned.read_text())
        assert reported["settings"]["layers"] == preset["settings"]["layers"]
        assert reported["settings"]["lr"] == preset["settings"]["lr"]
        assert reported["settings"]["num_steps"] == 3

    @pytest.mark.parametrize(
        ("change", "editor", "said"),
        [
            ({"fingerprint": "0123"}, "ft-m", "was tuned on the model 0123"),
            ({}, "ultraedit", "is for ft-m, not for ultraedit"),
            ({"provenance": "guessed"}, "ft-m", "is not a preset"),
        ],
    )
    def test_a_preset_of_another_method_is_rejected(
        self,
        sequela: Sequela,
        tuned: Path,
        world_folder: Path,
        tmp_path: Path,
        change: dict[str, str],
        editor: str,
        said: str,
    ) -> None:
        tuned.write_text(yaml.safe_dump(yaml.safe_load(tuned.read_text()) | change))
        settings = tmp_path / "own.yaml"
        settings.write_text(yaml.safe_dump({"preset": str(tuned)}))
        answer = sequela("edit", "-m", world_folder, "-e", editor, "--hparams", settings)
        assert answer.exit_code == 2
        assert said in " ".join(answer.stderr.split())

    @pytest.mark.parametrize(
        ("axis", "said"),
        [("v_lr", "Invalid value"), ("v_lr=3", "Invalid value"), ("v_lrr=[3]", "has no setting 'v_lrr'")],
    )
    def test_an_invalid_axis_is_reported(
        self, sequela: Sequela, world_folder: Path, edits_file: Path, axis: str, said: str
    ) -> None:
        answer = sequela("tune", world_folder, "--edits", edits_file, "--axis", axis)
        assert answer.exit_code == 2
        assert said in answer.stderr


class TestPresets:
    def test_they_are_listed_with_their_sources(self, sequela: Sequela) -> None:
        found = sequela("presets", "rome", "--json").json
        assert {one["editor"] for one in found} == {"rome"}
        assert {one["provenance"] for one in found} == {"paper", "untested", "tuned"}
        assert "gpt2-xl" in sequela("presets", "rome").stdout

    def test_a_misspelled_method_is_reported(self, sequela: Sequela) -> None:
        assert "Did you mean 'rome'" in sequela("presets", "rom").stderr
