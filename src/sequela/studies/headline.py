"""The headline numbers of an evaluation, which are logged as soon as they are measured."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Sequence

from sequela.evaluation.edit_quality.measure import RETENTION_AT_N
from sequela.results import EDIT_QUALITY, TaskResult, metric_info, protocol_info
from sequela.results.metrics import HIT_RATE

EDIT_METRICS = (
    ("efficacy", "free_decoding"),
    ("neighborhood", "free_decoding"),
    ("neighborhood", "agreement"),
)
"""The metrics and protocols of edit quality that are logged; the tables show those of free decoding."""

MAX_METRICS = 2
"""The maximum number of metrics that are logged for any other suite."""


def headline(results: Sequence[TaskResult]) -> str:
    """Returns the headline numbers of one evaluation in a line; empty if it has none."""
    if results and results[0].suite == EDIT_QUALITY:
        numbers = [
            f"{one.metric} ({protocol_info(one.protocol).label}) {_value(one.metric, one.value)}"
            for metric in EDIT_METRICS
            for one in results
            if one.task == RETENTION_AT_N and (one.metric, one.protocol) == metric
        ]
        return ", ".join(numbers)
    groups: dict[str, dict[str, list[TaskResult]]] = defaultdict(lambda: defaultdict(list))
    for one in results:
        if one.metric != HIT_RATE.name:
            groups[one.metric][one.protocol].append(one)
    return ", ".join(
        f"{metric}{_protocol(protocol, of_metric)} {_value(metric, _mean(of_protocol))}"
        for metric, of_metric in list(groups.items())[:MAX_METRICS]
        for protocol, of_protocol in of_metric.items()
    )


def _protocol(protocol: str, of_metric: Collection[str]) -> str:
    """Returns the protocol in brackets if a metric was measured by several; they are never averaged."""
    return f" ({protocol_info(protocol).label})" if len(of_metric) > 1 else ""


def _mean(results: Sequence[TaskResult]) -> float | None:
    """Returns the mean over all items of all tasks; None if a task has no value."""
    n = sum(one.n for one in results)
    if not n or any(one.value is None for one in results):
        return None
    return math.fsum(one.n * one.value for one in results if one.value is not None) / n


def _value(metric: str, value: float | None) -> str:
    if value is None:
        return "without a value"
    info = metric_info(metric)
    if info.is_count and value == round(value):
        return f"{value:.0f}"
    return f"{100 * value:.1f} %" if info.is_share else f"{value:.2f}"
