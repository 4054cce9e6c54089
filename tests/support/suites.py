"""The built-in suites, as in a run's manifest."""

from __future__ import annotations

from sequela.evaluation.lm_eval.catalog import benchmark_names, files_of
from sequela.evaluation.lm_eval.task_file import suite_info
from sequela.evaluation.suites.builtin import BuiltinSuite
from sequela.evaluation.suites.perplexity import HealthSuite
from sequela.evaluation.suites.refusal import RefusalSuite
from sequela.results import Suites

SUITES = Suites(
    {
        **{suite.name: suite.info for suite in (BuiltinSuite, HealthSuite, RefusalSuite)},
        **{name: suite_info(files_of(name)) for name in benchmark_names()},
    }
)
