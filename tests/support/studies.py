"""A study that runs in seconds: the world model, two methods, two edits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from sequela.studies import Study
from support.world import World

SUITES = [
    {"name": "builtin", "limit": 3, "categories": ["language", "commonsense"]},
    {"name": "perplexity", "window": 32},
]


def small_study(model: Path, edits: Path, /, **changes: Any) -> dict[str, Any]:
    """Returns the content of a study file.

    Args:
        model: The folder of the model.
        edits: A file of edits.
        changes: Keys to override.
    """
    return {
        "name": "small",
        "models": [str(model)],
        "editors": [
            {
                "name": "rome",
                "settings": {"mom2_adjustment": False, "n_contexts": 1, "v_num_grad_steps": 8},
            },
            {"name": "ft-m", "settings": {"num_steps": 30, "lr": 2e-3}},
        ],
        "edits": {"source": "jsonl", "file": str(edits)},
        "checkpoints": [0, 1, 2],
        "suites": SUITES,
        "edit_quality": {"max_new_tokens": 8, "max_neighborhood": 2},
        "device": "cpu",
        **changes,
    }


def study_maker(model: Path, edits: Path) -> Callable[..., Study]:
    """Returns a function that makes the small study; its keyword arguments are keys that are to differ."""

    def make(**changes: object) -> Study:
        return Study.model_validate(small_study(model, edits, **changes))

    return make


def write_edits(path: Path, world: World, count: int) -> Path:
    """Writes edits of facts of the world to a file in the schema for a user's own edits."""
    lines = [edit.model_dump_json() for edit in world.edits(count, phrasing=-1)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_study(path: Path, content: dict[str, Any]) -> Path:
    """Writes a study file."""
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path
