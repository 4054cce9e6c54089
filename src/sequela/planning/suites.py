"""The key under which the lengths of a suite's answers are kept."""

from __future__ import annotations

from sequela.core.hashing import hash_json
from sequela.planning.bench import WeightlessBench

REFERENCE_ANSWERS = "reference answers"
"""The name of what the unedited model is asked for."""


def suite_key(bench: WeightlessBench, name: str) -> str:
    """Returns the key of a suite of a study, of edit quality, or of the reference answers.

    Args:
        bench: The model.
        name: The name of the suite.
    """
    plan = bench.plan
    version = plan.suite_versions().get(name, plan.edit_quality_version)
    edits = plan.edits.content_hash if name not in {suite.name for suite in plan.suites} else ""
    templates = [template.content_hash for template in bench.routers]
    return hash_json({"suite": name, "version": version, "edits": edits, "template": templates})
