"""Makes the folder `run_7` beside this file: a run whose results commit ad80e74 wrote with schema 7.

It runs on that commit only:

    git worktree add /tmp/old ad80e74
    cd $(mktemp -d)
    PYTHONPATH=/tmp/old/src:/tmp/old/tests python REPOSITORY/tests/old_formats/make_schema_7.py
    cp -r run/items run/manifest.json run/results.sqlite REPOSITORY/tests/old_formats/run_7/
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from sequela.results import read_manifest, write_manifest
from sequela.results.digests import run_digest
from sequela.studies import Study, run_study
from support.edits import TINY_EDITS
from support.exact import save_exact_models

METHODS: dict[str, dict[str, Any]] = {
    "rome": {
        "mom2_adjustment": False,
        "n_contexts": 0,
        "v_num_grad_steps": 3,
        "v_lr": 2.0,
        "layers": [1],
        "variant": "r-rome",
    },
    "ike": {"n_demonstrations": 0, "retriever": "words"},
}


def run() -> None:
    """A run with two methods."""
    lines = [edit.model_dump_json() for edit in TINY_EDITS[:2]]
    Path("edits.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    study = Study.model_validate(
        {
            "name": "schema-7",
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
    manifest = read_manifest(Path("run"))
    environment = manifest.environment.model_copy(update={"cpu": "a processor", "system": "Linux"})
    write_manifest(Path("run"), manifest.model_copy(update={"environment": environment}))
    name_no_machine(Path("run/results.sqlite"))


def name_no_machine(database: Path) -> None:
    """Replaces the machine and the folder of the run."""
    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        row = {
            **dict(connection.execute("SELECT * FROM run").fetchone()),
            "host": "machine",
            "folder": "/run",
        }
        values = (row["host"], row["folder"], run_digest(row))
        connection.execute("UPDATE run SET host = ?, folder = ?, digest = ?", values)
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.commit()
        connection.execute("VACUUM")


if __name__ == "__main__":
    save_exact_models(Path())
    run()
