"""Measurements: edit quality, abilities, safety and health.

A package that provides a suite or a probe metric needs only the names exported here.
"""

from typing import TYPE_CHECKING

from sequela.core.lazy import lazy_names

if TYPE_CHECKING:
    from sequela.evaluation.edit_quality.answer_matching import starts_with_answer
    from sequela.evaluation.edit_quality.probe_metric import ProbeMetric
    from sequela.evaluation.suite import Suite
    from sequela.evaluation.suite_description import SuiteDescription
    from sequela.evaluation.suite_entry import LimitedOptions, SuiteEntry, SuiteOptions

__all__ = [
    "LimitedOptions",
    "ProbeMetric",
    "Suite",
    "SuiteDescription",
    "SuiteEntry",
    "SuiteOptions",
    "starts_with_answer",
]

if not TYPE_CHECKING:  # a `__getattr__` would make type checkers accept any name
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "sequela.evaluation.edit_quality.answer_matching": ("starts_with_answer",),
            "sequela.evaluation.edit_quality.probe_metric": ("ProbeMetric",),
            "sequela.evaluation.suite": ("Suite",),
            "sequela.evaluation.suite_description": ("SuiteDescription",),
            "sequela.evaluation.suite_entry": ("LimitedOptions", "SuiteEntry", "SuiteOptions"),
        },
    )
