"""The baseline of measurements: the unedited model's score on the same items."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sequela.results import (
    RETENTION_AT_N,
    SUCCESS_AT_EDIT,
    UNEDITED,
    ItemRecord,
    KnownBefore,
    Labels,
    Measurement,
    TaskResult,
    known_before_of,
    mean_and_stderr,
)
from sequela.results.metrics import EFFECTIVE_EDITS, EFFICACY, NEIGHBORHOOD
from sequela.results.protocols import FROM_EDITS

Series = tuple[str, str, str, str]

BASELINE_TASKS = {SUCCESS_AT_EDIT: RETENTION_AT_N}
"""The task whose unedited score is the baseline of a task: `success@edit` uses `retention@n` at 0 edits."""


@dataclass
class Baseline:
    """The unedited model's scores, by item so that each checkpoint is compared on the same items.

    Args:
        values: The value over all items, by series.
        by_item: The value of each item, by series and item.
        by_prompt: The value of each neighborhood prompt, by series, item and prompt. Checkpoints leave out
            those that an edit in force changes on purpose.
        known: The answers to the edits' own prompts, by edit.
    """

    values: dict[Series, float | None] = field(default_factory=dict)
    by_item: dict[Series, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))
    by_prompt: dict[Series, dict[str, dict[str, float]]] = field(default_factory=lambda: defaultdict(dict))
    known: dict[str, KnownBefore] = field(default_factory=dict)

    def remember(self, measurements: Iterable[Measurement], items: Iterable[ItemRecord]) -> None:
        """Stores the measurements and items of the unedited model."""
        for measurement in measurements:
            self.values[measurement.series] = measurement.value
        for item in items:
            series = (item.suite, item.task, item.metric, item.protocol)
            self.by_item[series][item.item] = item.value
            if item.metric == NEIGHBORHOOD.name:
                self.by_prompt[series][item.item] = _values_by_prompt(item)
            known = known_before_of(item)
            if known is not None:
                self.known[item.item] = known

    def of(self, result: TaskResult) -> float | None:
        """Returns the baseline of a result: over its own items and prompts if known, else over all."""
        if result.protocol == FROM_EDITS.name:  # a count of what is left out, which the unedited model lacks
            return None
        if result.metric == EFFECTIVE_EDITS.name:  # a count, derived from the share of the same edits
            share = self.of(result.model_copy(update={"metric": EFFICACY.name}))
            return None if share is None else share * result.n
        task = BASELINE_TASKS.get(result.task, result.task)
        series = (result.suite, task, result.metric, result.protocol)
        known = self.by_item.get(series, {})
        names = [item.item for item in result.items]
        if names and all(name in known for name in names):
            by_prompt = self.by_prompt.get(series, {})
            return mean_and_stderr(
                [
                    _on_same_prompts(item, known[item.item], by_prompt.get(item.item, {}))
                    for item in result.items
                ]
            )[0]
        return self.values.get(series)


def _values_by_prompt(item: ItemRecord) -> dict[str, float]:
    return {one["prompt"]: one["value"] for one in item.details.get("prompts", ())}


def _on_same_prompts(item: ItemRecord, value: float, by_prompt: Mapping[str, float]) -> float:
    """Returns the unedited value of an item over the prompts that the item has.

    Args:
        item: The item of the edited model.
        value: The unedited value over all prompts.
        by_prompt: The unedited values by prompt.
    """
    same = [by_prompt[prompt] for prompt in _values_by_prompt(item) if prompt in by_prompt]
    return sum(same) / len(same) if same else value


def measurements(results: Sequence[TaskResult], labels: Labels, baseline: Baseline) -> list[Measurement]:
    """Returns results as measurements, with labels and baselines."""
    unedited = labels.editor == UNEDITED
    return [Measurement.of(one, labels, one.value if unedited else baseline.of(one)) for one in results]
