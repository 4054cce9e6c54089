"""The key under which the lengths of a suite's answers are kept."""

from __future__ import annotations

from sequela.core.hashing import hash_json
from sequela.planning.planned_model import PlannedModel

REFERENCE_ANSWERS = "reference answers"
"""The name of what the unedited model is asked for."""


def suite_key(planned: PlannedModel, name: str) -> str:
    """Returns the key of a suite of a study, of edit quality, or of the reference answers.

    Args:
        planned: The model.
        name: The name of the suite.
    """
    plan = planned.plan
    version = plan.suite_versions().get(name, plan.edit_quality_version)
    edits = plan.edits.content_hash if name not in {suite.name for suite in plan.suites} else ""
    templates = [template.content_hash for template in planned.routers]
    return hash_json({"suite": name, "version": version, "edits": edits, "template": templates})
