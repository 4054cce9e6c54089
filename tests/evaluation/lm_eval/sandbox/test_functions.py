"""Everything that a template may use is listed, in the code and in the documentation."""

from __future__ import annotations

import re
from pathlib import Path

from jinja2.filters import FILTERS
from jinja2.tests import TESTS

from sequela.evaluation.lm_eval.sandbox.functions import allowed_filters, allowed_tests

TASK_FILES = Path(__file__).parents[4] / "docs" / "reference" / "task-files.md"
ALIASES = {"count", "d", "e"}


def _listed(kind: str) -> set[str]:
    (row,) = re.findall(rf"(?m)^\| {kind} \|(.*)$", TASK_FILES.read_text(encoding="utf-8"))
    return {*re.findall(r"`(\w+)`", row)}


def test_the_documentation_lists_the_filters() -> None:
    assert {*allowed_filters()} - ALIASES == _listed("filters")
    assert {*allowed_filters()} - {*FILTERS} == {"regex_replace"}


def test_the_documentation_names_the_tests_that_are_left_out() -> None:
    assert {*TESTS} - {*allowed_tests()} == _listed("tests")
