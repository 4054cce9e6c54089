"""The suites that come with the program, as a run's manifest has them."""

from __future__ import annotations

from sequela.evaluation.builtin import BuiltinSuite
from sequela.evaluation.harness.catalog import benchmark_names, files_of
from sequela.evaluation.harness.task_file import suite_info
from sequela.evaluation.health import HealthSuite
from sequela.evaluation.refusal import RefusalSuite
from sequela.results import Suites

SUITES = Suites(
    {
        **{suite.name: suite.info for suite in (BuiltinSuite, HealthSuite, RefusalSuite)},
        **{name: suite_info(files_of(name)) for name in benchmark_names()},
    }
)
