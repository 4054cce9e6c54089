"""The content of a run's folder, for comparison with that of another run of the same study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sequela.results import CostRecord, open_store, read_manifest
from sequela.studies import Study, run_study
from support.runs import checkpoint_files

MEASURED_ANEW = ("load model", "statistics and contexts")
"""The steps that every run does, so that their times differ."""


def content_of(folder: Path) -> dict[str, Any]:
    """Returns everything in a run's folder that follows from the study, such as results and costs."""
    manifest = read_manifest(folder)
    with open_store(folder) as store:
        assert store.damage() == []
        keys = store.evaluations()
        content = {
            "measurements": store.measurements(),
            "items": {key.content_hash: store.items(key) for key in keys},
            "edits": store.edit_records(),
            "costs": sorted(map(_cost, store.costs()), key=repr),
        }
    told = {
        "status": manifest.status,
        "planned": manifest.evaluations_planned,
        "config": manifest.config,
        "models": manifest.model_hashes,
        "trajectories": manifest.trajectory_keys,
        "inputs": manifest.input_hashes,
        "suites": manifest.suite_versions,
        "notes": manifest.notes,
        "early ends": manifest.early_ends,
        "findings": manifest.edit_findings,
        "components": manifest.components,
    }
    files = sorted(path.name for path in (folder / "items").glob("*"))
    return {**content, **told, "files": files, "checkpoints": checkpoint_files(folder)}


def _cost(cost: CostRecord) -> CostRecord:
    if cost.step not in MEASURED_ANEW:
        return cost.model_copy(update={"peak_memory_bytes": None})
    return cost.model_copy(update={"seconds": 0, "peak_memory_bytes": None})


def is_that_of_a_fresh_run(folder: Path, study: Study, fresh: Path) -> None:
    """Asserts that a folder has what a run of the study in another folder, with the same store, has."""
    run_study(study, fresh)
    found, expected = content_of(folder), content_of(fresh)
    for name in expected:
        assert found[name] == expected[name], name
