"""The key under which the lengths of a suite's answers are kept."""

from __future__ import annotations

from sequela.core.hashing import hash_json
from sequela.planning.planned_model import PlannedModel
from sequela.results import EDIT_QUALITY

REFERENCE_ANSWERS = "reference answers"
"""The name of what the unedited model is asked for."""


def suite_key(planned: PlannedModel, name: str) -> str:
    """Returns the key of a suite of a study, of edit quality, or of the reference answers.

    Args:
        planned: The model.
        name: The name of the suite.
    """
    plan = planned.plan
    is_suite = name in {suite.name for suite in plan.suites}
    version = plan.version_of(name if is_suite else EDIT_QUALITY, plan.study.samples[0])
    edits = "" if is_suite else plan.edits.content_hash
    templates = [template.content_hash for template in planned.routers]
    return hash_json({"suite": name, "version": version, "edits": edits, "template": templates})
