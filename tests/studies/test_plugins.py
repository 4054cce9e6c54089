"""The packages that the parts of a study come from."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest

from sequela.edits import example_line
from sequela.studies import Study
from sequela.studies.plugins import components_of


@pytest.mark.parametrize("suite", ["lm_eval:arc_easy", {"name": "lm_eval", "task": "arc_easy"}], ids=str)
def test_a_task_of_the_harness_comes_from_the_harness(suite: object, tmp_path: Path) -> None:
    file = tmp_path / "facts.jsonl"
    file.write_text(example_line() + "\n", encoding="utf-8")
    study = Study.model_validate(
        {
            "name": "origins",
            "models": ["smollm2-135m-instruct"],
            "editors": ["memit+rect"],
            "edits": {"source": str(file), "count": 1},
            "checkpoints": [0, 1],
            "suites": [suite, "mmlu", "perplexity"],
        }
    )
    found = {(one.kind, one.name): (one.distribution, one.version) for one in components_of(study)}
    ours, harness = ((name, importlib.metadata.version(name)) for name in ("sequela", "lm_eval"))
    name = suite if isinstance(suite, str) else "lm_eval"
    assert found == {
        ("editor", "memit"): ours,
        ("regularizer", "rect"): ours,
        ("suite", name): harness,
        ("benchmark", "mmlu"): ours,
        ("suite", "perplexity"): ours,
        ("edit source", str(file)): ("", ""),
        ("engine", "torch"): ours,
    }
