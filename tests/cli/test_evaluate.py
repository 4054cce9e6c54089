"""`sequela evaluate`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from sequela.api import load_model
from sequela.results import open_store
from support.commands import Sequela
from support.exact import save_exact_models


def test_a_chat_template_is_rejected_for_a_base_model(sequela: Sequela, world_folder: Path) -> None:
    answer = sequela("evaluate", world_folder, "--suite", "perplexity", "--template", "chat")
    assert answer.exit_code == 2
    assert "has no chat template" in answer.stderr


def test_a_limit_larger_than_the_suite_is_rejected(sequela: Sequela, world_folder: Path) -> None:
    answer = sequela("evaluate", world_folder, "--suite", "builtin", "--limit", "1000")
    assert answer.exit_code == 2
    assert "the limit is 1000" in answer.stderr


def test_refusal_is_available_as_a_suite(sequela: Sequela, world_folder: Path) -> None:
    answer = sequela("evaluate", world_folder, "--suite", "refusal", "--limit", "2", "--json")
    assert answer.exit_code == 0
    assert [(one["task"], one["metric"], one["n"]) for one in answer.json] == [
        ("refusal_harmful", "declined", 2),
        ("refusal_harmless", "helped", 2),
    ]


def test_the_python_interface_gives_the_same_results(sequela: Sequela, world_folder: Path) -> None:
    answer = sequela(
        *("evaluate", world_folder, "-s", "builtin", "-s", "perplexity", "--limit", "2", "--device", "cpu"),
        "--json",
    )
    found = load_model(str(world_folder), device="cpu").evaluate(["builtin", "perplexity"], limit=2)
    assert answer.json == [one.model_dump(mode="json", exclude={"items"}) for one in found]


def test_a_missing_task_file_is_named(sequela: Sequela, world_folder: Path) -> None:
    answer = sequela("evaluate", world_folder, "--suite", "nowhere.yaml")
    assert answer.exit_code == 2
    assert "The task file nowhere.yaml can't be read" in answer.stderr


OLD = Path(__file__).parents[1] / "old_formats"


@pytest.fixture
def old(sequela: Sequela, tmp_path: Path) -> Path:
    """A run and saved edits of commit 2ab7701 (see `make.py` there); the working directory."""
    for name in ("run", "saved", "network"):
        shutil.copytree(OLD / name, tmp_path / name)
    save_exact_models(tmp_path)
    return tmp_path


def checkpoint_of(run: Path, method: str) -> Path:
    found = [
        path.parent for path in run.glob("checkpoints/*/2/delta.json") if f'"{method}"' in path.read_text()
    ]
    return found[0]


@pytest.mark.parametrize("method", ["grace", "wise", "melo", "serac", "ike", "rome+prune"])
def test_a_checkpoint_of_an_earlier_version_is_applied_completely(
    method: str, sequela: Sequela, old: Path
) -> None:
    """The suite gives the scores that the run itself measured with these edits."""
    folder = checkpoint_of(old / "run", method)
    with open_store(old / "run") as store:
        (key,) = [
            one
            for one in store.evaluations()
            if one.suite == "builtin" and one.trajectory == folder.parent.name
        ]
        measured = {(one.task, one.metric): one.value for one in store.measurements(key=key)}
    answer = sequela(
        "evaluate", "model", "--suite", "builtin", "--delta", folder, "--device", "cpu", "--json"
    )
    assert answer.exit_code == 0
    found = {(one["task"], one["metric"]): one["value"] for one in answer.json}
    assert set(measured) <= {*found, ("requests", "hit_rate")}
    assert ("requests", "hit_rate") in found or method == "rome+prune"


def test_edits_of_a_newer_version_are_rejected(sequela: Sequela, old: Path) -> None:
    description = old / "saved" / "grace" / "delta.json"
    reported = json.loads(description.read_text(encoding="utf-8"))
    (old / "saved" / "grace" / "edits.json").write_text(
        json.dumps({**reported, "format": 3}), encoding="utf-8"
    )
    for command in (["evaluate", "model", "--delta"], ["export", "--output", "merged"]):
        answer = sequela(*command, old / "saved" / "grace")
        assert (answer.exit_code, answer.stdout) == (2, "")
        assert (
            "saved by a newer version of sequela: their format is 3; this version reads up to 2"
            in " ".join(answer.stderr.split())
        )


def test_edits_with_a_missing_part_are_rejected(sequela: Sequela, old: Path) -> None:
    (old / "saved" / "grace" / "memory.json").unlink()
    answer = sequela("evaluate", "model", "--delta", "saved/grace")
    assert answer.exit_code == 2
    assert "saved/grace are incomplete" in answer.stderr
