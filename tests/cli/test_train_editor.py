"""`sequela train-editor`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from support.commands import Sequela
from support.world import World

FEW = ("--steps", 2, "--validate-every", 1, "--held-out", 5, "--batch-size", 2, "--minutes", 5)


@pytest.fixture(scope="module")
def training_edits(tmp_path_factory: pytest.TempPathFactory, world: World) -> Path:
    path = tmp_path_factory.mktemp("training") / "facts.jsonl"
    lines = [edit.model_dump_json() for edit in world.edits(32, phrasing=-1)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(("editor", "edit_weight"), [("mend", 0.1), ("malmen", 1.0)])
def test_edit_finds_the_trained_network(
    sequela: Sequela,
    world_folder: Path,
    training_edits: Path,
    edits_file: Path,
    editor: str,
    edit_weight: float,
) -> None:
    refused = sequela("edit", "--model", world_folder, "--editor", editor, "--edits", edits_file)
    assert refused.exit_code == 2
    assert "must be trained before" in refused.stderr
    assert f"sequela train-editor {editor}" in refused.stderr
    reported = sequela("train-editor", editor, "-m", world_folder, "--edits", training_edits, *FEW, "--json")
    assert reported.exit_code == 0, reported.stderr
    assert [one["step"] for one in reported.json["curve"]] == [0, 1, 2]
    assert reported.json["training"]["edit_weight"] == edit_weight
    assert (Path(reported.json["folder"]) / "network.safetensors").is_file()
    assert "27 training edits, 5 held-out edits; training needs about" in " ".join(reported.stderr.split())
    made = sequela("edit", "--model", world_folder, "--editor", editor, "--edits", edits_file, "--json")
    assert made.exit_code == 0, made.stderr
    assert made.json["state"]["network"] == reported.json["network"]
    stored = [str(one["key"]) for one in sequela("store", "list", "--kind", "network", "--json").json]
    assert f"network/{stored[0]}" == reported.json["object"]
    shutil.rmtree(reported.json["folder"])  # another user, who shares the store only
    again = sequela("edit", "--model", world_folder, "--editor", editor, "--edits", edits_file, "--json")
    assert again.json["state"]["network"] == reported.json["network"]
    assert reported.json["object"] in "".join(again.stderr.split())


def test_it_shows_the_curve_and_can_be_resumed(
    sequela: Sequela, world_folder: Path, training_edits: Path, tmp_path: Path
) -> None:
    command = ("train-editor", "mend", "-m", world_folder, "--edits", training_edits, "-o", tmp_path, *FEW)
    answer = sequela(*command)
    assert answer.exit_code == 0, answer.stderr
    assert "paraphrase" in answer.stdout
    assert "Saved in" in answer.stdout
    assert "training resumes after step 2" in sequela(*command).stderr


@pytest.mark.parametrize(
    ("editor", "count", "said"),
    [
        ("rome", 32, "rome needs no training"),
        ("mend", 10, "5 are left to train on"),
        ("mned", 32, "mend"),
    ],
)
def test_invalid_input_is_reported(
    sequela: Sequela, world_folder: Path, training_edits: Path, editor: str, count: int, said: str
) -> None:
    answer = sequela(
        "train-editor", editor, "-m", world_folder, "--edits", training_edits, "--count", count, *FEW
    )
    assert answer.exit_code == 2
    assert said in answer.stderr
