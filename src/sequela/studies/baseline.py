"""From what evaluations find to measurements: labels, and the baseline of the same items."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from sequela.core.workload import Piece
from sequela.evaluation.edit_quality.measure import RETENTION_AT_N, SUCCESS_AT_EDIT
from sequela.results import (
    EFFECTIVE_EDITS,
    UNEDITED,
    Finding,
    ItemRecord,
    Measurement,
    mean_and_stderr,
)

Series = tuple[str, str, str, str]

QUICK_TOKENS = 5000
"""An evaluation of no more tokens than this takes some seconds with a small model."""

Measure = Callable[[], tuple[list[Finding], list[ItemRecord]]]
"""Runs an evaluation; returns what it found and the items behind it."""

BASELINE_TASKS = {SUCCESS_AT_EDIT: RETENTION_AT_N}
"""`success@edit` is compared with what the unedited model answers, which is kept as retention at 0."""


@dataclass(frozen=True)
class Evaluation:
    """An evaluation that is to be made.

    Args:
        suite: What it measures.
        version: The suite's version.
        piece: The piece of work that it is.
        measure: Makes it.
    """

    suite: str
    version: str
    piece: Piece
    measure: Measure

    @property
    def is_quick(self) -> bool:
        """Whether it takes so little that a first number may come from it."""
        return self.piece.weight <= QUICK_TOKENS


@dataclass(frozen=True)
class Labels:
    """What a measurement says about where it comes from."""

    model: str
    editor: str
    variant: str
    edit_source: str
    order_seed: int
    n_edits: int
    edit_template: str = "none"
    template: str = "none"

    @classmethod
    def of(cls, measurement: Measurement) -> Labels:
        """The labels of a measurement."""
        return cls(**{name: getattr(measurement, name) for name in cls.__dataclass_fields__})


@dataclass
class Baseline:
    """What the unedited model scored, so that every checkpoint is compared over the same items.

    Args:
        values: Per series, the value over all items.
        by_item: Per series, the value of each item.
    """

    values: dict[Series, float | None] = field(default_factory=dict)
    by_item: dict[Series, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))

    def remember(self, measurements: Iterable[Measurement], items: Iterable[ItemRecord]) -> None:
        """Takes up what was measured on the unedited model."""
        for measurement in measurements:
            self.values[measurement.series] = measurement.value
        for item in items:
            series = (item.suite, item.task, item.metric, item.protocol)
            self.by_item[series][item.item] = item.value

    def of(self, finding: Finding) -> float | None:
        """The baseline of a finding: over its own items where these are known, else over all."""
        if finding.metric == EFFECTIVE_EDITS:  # a count: of the same edits, on the unedited model
            share = self.of(finding.model_copy(update={"metric": "efficacy"}))
            return None if share is None else share * finding.n
        task = BASELINE_TASKS.get(finding.task, finding.task)
        series = (finding.suite, task, finding.metric, finding.protocol)
        known = self.by_item.get(series, {})
        names = [item.item for item in finding.items]
        if names and all(name in known for name in names):
            return mean_and_stderr([known[name] for name in names])[0]
        return self.values.get(series)


def measurements(found: Sequence[Finding], labels: Labels, baseline: Baseline) -> list[Measurement]:
    """Labels findings and puts the baseline beside them."""
    return [
        Measurement(
            model=labels.model,
            editor=labels.editor,
            variant=labels.variant,
            edit_source=labels.edit_source,
            order_seed=labels.order_seed,
            n_edits=labels.n_edits,
            edit_template=labels.edit_template,
            template=labels.template,
            suite=finding.suite,
            task=finding.task,
            metric=finding.metric,
            protocol=finding.protocol,
            value=finding.value,
            stderr=finding.stderr,
            n=finding.n,
            n_nonfinite=finding.n_nonfinite,
            n_refused=finding.n_refused,
            n_failed=finding.n_failed,
            baseline=finding.value if labels.editor == UNEDITED else baseline.of(finding),
            note=finding.note,
            form=finding.form,
        )
        for finding in found
    ]
