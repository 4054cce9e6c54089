"""Makes the folder `run_6` beside this file: a run whose results commit cac94d4 wrote with schema 6.

It runs on that commit only:

    git worktree add /tmp/old cac94d4
    cd $(mktemp -d)
    PYTHONPATH=/tmp/old/src:/tmp/old/tests python REPOSITORY/tests/old_formats/make_schema_6.py
    cp -r run/items run/manifest.json run/results.sqlite REPOSITORY/tests/old_formats/run_6/
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

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
            "name": "schema-6",
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
    run()
