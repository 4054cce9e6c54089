"""`sequela export`: what `sequela edit` saved, as a checkpoint."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sequela.edited import EditedModel
from sequela.editors.storage import load_saved_edits
from sequela.inference import TorchEngine, generation_request
from sequela.models import load_model
from support.commands import Sequela

SETTINGS = {
    "ft-m": {"num_steps": 10, "lr": 5e-3},
    "grace": {"layers": [2], "num_steps": 3},
    "ike": {"n_demonstrations": 0, "retriever": "words"},
}

Edited = Callable[[str], Path]


@pytest.fixture
def edited(sequela: Sequela, world_folder: Path, edits_file: Path, tmp_path: Path) -> Edited:
    """Applies two edits by a method and returns the folder."""

    def make(method: str) -> Path:
        hparams = tmp_path / "settings.yaml"
        hparams.write_text(json.dumps(SETTINGS[method]), encoding="utf-8")
        answer = sequela(
            *(
                "edit",
                "--model",
                world_folder,
                "--editor",
                method,
                "--hparams",
                hparams,
                "--edits",
                edits_file,
            ),
            *("--count", 2, "--output", tmp_path / "edits", "--device", "cpu"),
        )
        assert answer.exit_code == 0
        return tmp_path / "edits"

    return make


def test_the_checkpoint_can_be_loaded_and_evaluated_like_any_model(
    sequela: Sequela, edited: Edited, world_folder: Path, tmp_path: Path
) -> None:
    folder = edited("ft-m")
    answer = sequela("export", folder, "--output", tmp_path / "merged", "--device", "cpu", "--json")
    assert answer.exit_code == 0
    assert (answer.json["method"], len(answer.json["edits"])) == ("ft-m", 2)
    base = load_model(str(world_folder), device="cpu")
    question = "Mira Dolvan lives in the city of"
    said = []
    for model in (
        EditedModel(load_model(str(tmp_path / "merged"), device="cpu")),
        load_saved_edits(folder, base).on(base),
    ):
        said += TorchEngine().generate(model, [generation_request(model, question, 8)])
    assert said[0] == said[1]
    measured = sequela("evaluate", tmp_path / "merged", "--suite", "perplexity", "--device", "cpu")
    assert measured.exit_code == 0


@pytest.mark.parametrize("method", ["grace", "ike"])
def test_a_memory_based_method_is_rejected_with_the_alternatives(
    method: str, sequela: Sequela, edited: Edited, tmp_path: Path
) -> None:
    folder = edited(method)
    answer = sequela("export", folder, "--output", tmp_path / "merged")
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert f"can't be merged: {method} keeps them" in answer.stderr
    assert f"sequela evaluate --delta {folder}" in answer.stderr
    assert "a method that changes weights" in answer.stderr
    assert not (tmp_path / "merged").exists()


def test_a_folder_without_edits_is_reported(sequela: Sequela, tmp_path: Path) -> None:
    answer = sequela("export", tmp_path / "nowhere", "--output", tmp_path / "merged")
    assert answer.exit_code == 2
    assert "holds no saved edits" in answer.stderr
