"""The baseline of measurements: the unedited model's score on the same items."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sequela.results import (
    RETENTION_AT_N,
    SUCCESS_AT_EDIT,
    UNEDITED,
    ItemRecord,
    Labels,
    Measurement,
    TaskResult,
    mean_and_stderr,
)
from sequela.results.metrics import EFFECTIVE_EDITS, EFFICACY

Series = tuple[str, str, str, str]

BASELINE_TASKS = {SUCCESS_AT_EDIT: RETENTION_AT_N}
"""The task whose unedited score is the baseline of a task: `success@edit` uses `retention@n` at 0 edits."""


@dataclass
class Baseline:
    """The unedited model's scores, by item so that each checkpoint is compared on the same items.

    Args:
        values: The value over all items, by series.
        by_item: The value of each item, by series and item.
    """

    values: dict[Series, float | None] = field(default_factory=dict)
    by_item: dict[Series, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))

    def remember(self, measurements: Iterable[Measurement], items: Iterable[ItemRecord]) -> None:
        """Stores the measurements and items of the unedited model."""
        for measurement in measurements:
            self.values[measurement.series] = measurement.value
        for item in items:
            series = (item.suite, item.task, item.metric, item.protocol)
            self.by_item[series][item.item] = item.value

    def of(self, result: TaskResult) -> float | None:
        """Returns the baseline of a result: over its own items if they are known, else over all items."""
        if result.metric == EFFECTIVE_EDITS.name:  # a count, derived from the share of the same edits
            share = self.of(result.model_copy(update={"metric": EFFICACY.name}))
            return None if share is None else share * result.n
        task = BASELINE_TASKS.get(result.task, result.task)
        series = (result.suite, task, result.metric, result.protocol)
        known = self.by_item.get(series, {})
        names = [item.item for item in result.items]
        if names and all(name in known for name in names):
            return mean_and_stderr([known[name] for name in names])[0]
        return self.values.get(series)


def measurements(results: Sequence[TaskResult], labels: Labels, baseline: Baseline) -> list[Measurement]:
    """Returns results as measurements, with labels and baselines."""
    unedited = labels.editor == UNEDITED
    return [Measurement.of(one, labels, one.value if unedited else baseline.of(one)) for one in results]
