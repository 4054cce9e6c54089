"""Metrics of edit quality that installed packages provide, by name.

A package provides a metric through the entry-point group `sequela.probes`, which names its `ProbeMetric`. A
study measures it if it is listed in `edit_quality: {metrics: [NAME]}`. Sequela's own metrics are defined in
`probes` and `text_quality`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from sequela.core.registry import Registry, check_name
from sequela.edits import Edit, Probe
from sequela.evaluation.edit_quality.answer_matching import starts_with_answer
from sequela.results.metrics import EFFECTIVE_EDITS, MetricInfo, edit_metric

OWN_METRICS = (
    *("efficacy", "prefix_robustness", "paraphrase", "portability", "attack_robustness", "neighborhood"),
    *("fluency", "consistency", EFFECTIVE_EDITS.name),
)
"""The names of Sequela's own metrics, which no package can use."""


@dataclass(frozen=True)
class ProbeMetric:
    """A metric of edit quality: prompts for an edit, and a rule for the answers.

    Args:
        name: The metric's name, as in a study file and in results.
        summary: A one-line description of what it measures.
        version: Raised when prompts or the rule change, so that results never mix.
        prompts: Returns the prompts for an edit, each with the expected answer; none if the metric doesn't
            apply to the edit.
        counts: Returns whether a freely decoded answer (first argument) matches the expected one (second); by
            default, whether it begins with it. Log-probabilities are compared as for every metric.
    """

    name: str
    summary: str
    version: int
    prompts: Callable[[Edit], Sequence[Probe]]
    counts: Callable[[str, str], bool] = starts_with_answer

    @property
    def info(self) -> MetricInfo:
        """The metric's description in reports."""
        return edit_metric(self.name, self.summary)


def _metric(name: str, found: object) -> ProbeMetric:
    if not isinstance(found, ProbeMetric):
        raise ValueError("")
    check_name(name, found)
    if name in OWN_METRICS:
        raise ValueError(f"uses the name of a metric of Sequela ({', '.join(OWN_METRICS)})")
    return found


PROBE_REGISTRY = Registry(
    kind="metric of edit quality",
    group="sequela.probes",
    built_in=lambda: MappingProxyType[str, "ProbeMetric | str"]({}),
    check=_metric,
    expected="a `sequela.evaluation.ProbeMetric`",
)
"""The registry of metrics of edit quality that packages provide."""
