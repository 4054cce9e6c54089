"""The baseline of measurements: the unedited model's score on the same items."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sequela.results import (
    RETENTION_AT_N,
    RETENTION_OF_APPLIED,
    SUCCESS_AT_EDIT,
    SUCCESS_OF_APPLIED,
    UNEDITED,
    Comparison,
    ItemRecord,
    KnownBefore,
    Labels,
    Measurement,
    TaskResult,
    known_before_of,
    mean_and_stderr,
    metric_of_all,
)
from sequela.results.metrics import (
    BALANCED_ACCURACY,
    EFFECTIVE_EDITS,
    EFFICACY,
)
from sequela.results.protocols import FROM_EDITS

Series = tuple[str, str, str, str]

BASELINE_TASKS = {
    SUCCESS_AT_EDIT: RETENTION_AT_N,
    SUCCESS_OF_APPLIED: RETENTION_AT_N,
    RETENTION_OF_APPLIED: RETENTION_AT_N,
}
"""The task whose unedited score is the baseline of a task: `success@edit` uses `retention@n` at 0 edits."""

RELATIVE_METRICS = frozenset({BALANCED_ACCURACY.name})
"""The metrics whose items have values that depend on the other items, so that no part can be averaged."""


@dataclass
class Baseline:
    """The unedited model's scores, by item so that each checkpoint is compared on the same items.

    Args:
        values: The value over all items, by series.
        by_item: The value of each item, by series and item.
        by_prompt: The value of each prompt of an edit, by series, item and prompt. Checkpoints leave out
            those that an edit in force changes on purpose and those that don't fit the model's context.
        known: The answers to the edits' own prompts, by edit.
        unanswered: The items that were too long or failed, or have no text to measure, by series.
        counts: The number of items, of those that were too long and of those that failed, by series.
    """

    values: dict[Series, float | None] = field(default_factory=dict)
    by_item: dict[Series, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))
    by_prompt: dict[Series, dict[str, dict[str, float]]] = field(default_factory=lambda: defaultdict(dict))
    known: dict[str, KnownBefore] = field(default_factory=dict)
    unanswered: dict[Series, set[str]] = field(default_factory=lambda: defaultdict(set))
    counts: dict[Series, tuple[int, int, int]] = field(default_factory=dict)

    def remember(self, measurements: Iterable[Measurement], items: Iterable[ItemRecord]) -> None:
        """Stores the measurements and items of the unedited model."""
        for measurement in measurements:
            self.values[measurement.series] = measurement.value
            self.counts[measurement.series] = _counts(measurement)
        for item in items:
            series = (item.suite, item.task, item.metric, item.protocol)
            self.by_item[series][item.item] = item.value
            if prompts := _values_by_prompt(item):
                self.by_prompt[series][item.item] = prompts
            known = known_before_of(item)
            if known is not None:
                self.known[item.item] = known
            if not item.answered or not item.measured:
                self.unanswered[series].add(item.item)

    def of(self, result: TaskResult) -> float | None:
        """Returns the baseline of a result over its own items, as far as the unedited model has them too."""
        return self.compare(result)[0]

    def compare(self, result: TaskResult) -> tuple[float | None, Comparison | None]:
        """Returns the baseline of a result, and the comparison over the items that both models answered.

        Args:
            result: The result of an edited model.

        Returns:
            The baseline; and the comparison, or None if both models answered all items of the result.
        """
        if result.protocol == FROM_EDITS.name:  # a count of what is left out, which the unedited model lacks
            return None, None
        if result.metric == EFFECTIVE_EDITS.name:  # a count, derived from the share of the same edits
            return self._of_count(result), None
        task = BASELINE_TASKS.get(result.task, result.task)
        series = (result.suite, task, result.metric, result.protocol)
        of_all = (result.suite, task, metric_of_all(result.metric), result.protocol)
        if of_all in self.values:  # a score over the answered items is compared over those that both answered
            series = of_all
        if series in self.by_item and _is_mean(result):
            return self._over_common_items(result, series)
        # Without a value for each item, two scores can be compared only if they have the same items.
        names = {item.item for item in result.items}
        same = _unanswered(result) == self.unanswered.get(series, set())
        same = same and names == set(self.by_item.get(series, names))
        if same and self.counts.get(series, _counts(result)) == _counts(result):
            return self.values.get(series), None
        return None, Comparison(value=None, baseline=None, n=0)

    def _of_count(self, result: TaskResult) -> float | None:
        share = None if result.value is None or not result.n else result.value / result.n
        baseline = self.of(result.model_copy(update={"metric": EFFICACY.name, "value": share}))
        return None if baseline is None else baseline * result.n

    def _over_common_items(
        self, result: TaskResult, series: Series
    ) -> tuple[float | None, Comparison | None]:
        known, missing, lost = self.by_item[series], self.unanswered[series], _unanswered(result)
        by_prompt = self.by_prompt.get(series, {})
        values = {item.item: item.value for item in result.items}
        pairs = {
            item.item: _on_same_prompts(item, known[item.item], by_prompt.get(item.item, {}))
            for item in result.items
            if item.item in known
        }
        known = {name: base for name, (_, base) in pairs.items()}
        on_same = {name: own for name, (own, _) in pairs.items()}
        common = [name for name in values if name in known]
        both = [name for name in common if name not in missing and name not in lost]
        baseline = mean_and_stderr([known[name] for name in common])[0]
        if len(both) == len(values) and all(on_same[name] == values[name] for name in both):
            return baseline, None
        shared = Comparison(
            value=mean_and_stderr([on_same[name] for name in both])[0],
            baseline=mean_and_stderr([known[name] for name in both])[0],
            n=len(both),
            n_lost=sum(name in known and name not in missing for name in lost),
        )
        return baseline, shared


def _values_by_prompt(item: ItemRecord) -> dict[str, float]:
    """Returns the values of an item's prompts, without those that were too long."""
    prompts = item.details.get("prompts", ())
    return {one["prompt"]: one["value"] for one in prompts if one["too_long"] is None}


def _on_same_prompts(item: ItemRecord, value: float, by_prompt: Mapping[str, float]) -> tuple[float, float]:
    """Returns the value of an item and the unedited one, over the prompts that both models were asked.

    Args:
        item: The item of the edited model.
        value: The unedited value over all prompts.
        by_prompt: The unedited values by prompt.
    """
    own = _values_by_prompt(item)
    same = [prompt for prompt in own if prompt in by_prompt]
    if not same:
        return item.value, value
    base = sum(by_prompt[prompt] for prompt in same) / len(same)
    if len(same) == len(own):  # not computed again, since rounding could differ
        return item.value, base
    return sum(own[prompt] for prompt in same) / len(same), base


def measurements(results: Sequence[TaskResult], labels: Labels, baseline: Baseline) -> list[Measurement]:
    """Returns results as measurements, with labels and baselines."""
    if labels.editor == UNEDITED:
        return [Measurement.of(one, labels, one.value, _own(one)) for one in results]
    return [Measurement.of(one, labels, *baseline.compare(one)) for one in results]


def _counts(result: TaskResult) -> tuple[int, int, int]:
    return result.n, result.n_too_long, result.n_failed


def _unanswered(result: TaskResult) -> set[str]:
    return {item.item for item in result.items if not item.answered}


def _own(result: TaskResult) -> Comparison | None:
    """Returns the comparison of the unedited model with itself; None if it answered all items."""
    answered = [item.value for item in result.items if item.answered]
    if len(answered) == len(result.items) or not _is_mean(result):
        return None
    mean = mean_and_stderr(answered)[0]
    return Comparison(value=mean, baseline=mean, n=len(answered))


def _is_mean(result: TaskResult) -> bool:
    """Returns whether a result is the mean of independent values of its items."""
    if not result.items or result.value is None or result.metric in RELATIVE_METRICS:
        return False
    mean = mean_and_stderr([item.value for item in result.items])[0]
    return mean is not None and math.isclose(mean, result.value, rel_tol=1e-9, abs_tol=1e-12)
