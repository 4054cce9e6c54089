"""Makes the folders beside this file: saved edits and a run, as commit 2ab7701 wrote them.

It runs on that commit only, with the models of today's `tests/support/exact.py`, which are the same bits:

    git worktree add /tmp/old 2ab7701
    cd $(mktemp -d)
    PYTHONPATH=/tmp/old/src:REPOSITORY/tests python REPOSITORY/tests/old_formats/make.py
    cp -r saved run REPOSITORY/tests/old_formats/

The folders have relative paths in them only, since a run's manifest names its model as it was given.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sequela.editors import Resources, create_editor
from sequela.editors.storage import save_edits  # as it was then: the whole change, and the state
from sequela.models import load_model
from sequela.statistics import Statistics
from sequela.studies import Study, run_study
from support.edits import CONTEXTS, TINY_EDITS
from support.exact import save_exact_models
from support.sessions import edit_in_batches

ROME = {"mom2_adjustment": False, "n_contexts": 0, "v_num_grad_steps": 3, "v_lr": 2.0, "layers": [1]}
METHODS: dict[str, dict[str, Any]] = {
    "rome": {**ROME, "variant": "r-rome"},
    "rome+prune": {**ROME, "v_lr": 20.0, "clamp_norm_factor": 1000.0, "v_weight_decay": 0.0},
    "grace": {"layers": [2], "num_steps": 3, "lr": 0.3},
    "wise": {"layers": [2], "num_steps": 3, "n_contexts": 1},
    "melo": {"layers": [1, 3], "num_steps": 3},
    "serac": {"artifact": "network", "encoder": "encoder", "layers": [2]},
    "ike": {"n_demonstrations": 0, "retriever": "words"},
}


def train_serac() -> None:
    """An untrained network, on disk, so that its bits are those of the machine that made these folders."""
    from sequela.editors.training.artifact import Artifact, describe_artifact, save_network

    model = load_model("model", device="cpu")
    editor = create_editor("serac", {**METHODS["serac"], "artifact": None})
    network = editor.learner(model).module  # type: ignore[attr-defined]
    artifact = Artifact(
        editor="serac",
        base_fingerprint=model.fingerprint,
        base_name=model.name,
        settings=editor.settings_of_training,  # type: ignore[attr-defined]
        training={},
        edits="none",
        edits_hash="",
        n_edits=0,
        curve=(),
        step=0,
        network=save_network(Path("network"), network),
    )
    describe_artifact(Path("network"), artifact)


def save_all() -> None:
    """The folders that `sequela edit --output` wrote with each method, two edits in each."""
    for name, settings in METHODS.items():
        model, editor = load_model("model", device="cpu"), create_editor(name, settings)
        resources = Resources(Statistics(model), contexts=CONTEXTS)
        *_, step = edit_in_batches(editor, model, TINY_EDITS[:2], 1, resources)
        whole = editor.of_whole(model, step.delta)
        ids = tuple(edit.id for edit in TINY_EDITS[:2])
        save_edits(Path("saved") / name, model, editor, whole, step.state, ids)


def run() -> None:
    """A run with every method."""
    lines = [edit.model_dump_json() for edit in TINY_EDITS[:2]]
    Path("edits.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    study = Study.model_validate(
        {
            "name": "old",
            "models": ["model"],
            "editors": [{"name": name, "settings": settings} for name, settings in METHODS.items()],
            "edits": {"source": "jsonl", "file": "edits.jsonl"},
            "checkpoints": [0, 2],
            "suites": [{"name": "builtin", "limit": 2, "categories": ["language", "truthfulness"]}],
            "edit_quality": {"max_new_tokens": 3},
            "device": "cpu",
        }
    )
    run_study(study, Path("run"))
    manifest = json.loads(Path("run/manifest.json").read_text(encoding="utf-8"))
    manifest["environment"] |= {"cpu": "a processor", "system": "Linux", "python": "3.11"}
    Path("run/manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    save_exact_models(Path())
    train_serac()
    save_all()
    run()
