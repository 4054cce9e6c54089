"""Detection of collapsed models, and of the checkpoint at which each trajectory collapsed."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sequela.analysis.comparison import Comparisons
from sequela.results.measurement import Measurement
from sequela.results.metrics import ACCURACY, PERPLEXITY
from sequela.results.section import Section
from sequela.results.suite_info import Suites

PERPLEXITY_FACTOR = 10
"""A model has collapsed if its perplexity exceeds that of the unedited model by more than this factor."""

ABILITY_SHARE = 0.5
"""A model has collapsed if it retains less than this share of the unedited model's ability above chance.

The share is the mean over benchmarks, each of which counts once, whichever of its parts were measured."""

Checkpoint = tuple[str, str, str, str, int, int]
"""Model, editor, variant, edit source, shuffle seed and number of edits."""


def checkpoint_of(one: Measurement) -> Checkpoint:
    """Returns the checkpoint at which a measurement was taken."""
    return (one.model, one.editor, one.variant, one.edit_source, one.order_seed, one.n_edits)


@dataclass(frozen=True)
class Collapses:
    """The checkpoints at which a model has collapsed.

    Args:
        reasons: The reason by checkpoint; empty where the model had not collapsed. A checkpoint is missing if
            nothing there shows whether it had.
    """

    reasons: Mapping[Checkpoint, str]

    @classmethod
    def among(cls, measurements: Iterable[Measurement], suites: Suites) -> Collapses:
        """Finds the collapsed checkpoints of a run by perplexity and by remaining ability.

        Args:
            measurements: All measurements of the run.
            suites: The run's suites, which define the tasks that count as abilities.
        """
        run = list(measurements)
        comparisons = Comparisons.among(run)
        checkpoints: dict[Checkpoint, list[Measurement]] = defaultdict(list)
        for one in run:
            if one.n_edits > 0:
                checkpoints[checkpoint_of(one)].append(one)
        reasons = {}
        for checkpoint, members in checkpoints.items():
            found = [_by_perplexity(members), _by_ability(members, suites, comparisons)]
            known = [reason for reason in found if reason is not None]
            if known:
                reasons[checkpoint] = next(filter(None, known), "")
        return cls(reasons)

    def reason(self, one: Measurement) -> str:
        """Returns why the model had collapsed when this was measured; empty if it had not."""
        return self.reasons.get(checkpoint_of(one), "")

    def is_healthy(self, one: Measurement) -> bool:
        """Returns whether perplexity or abilities show that the model had not collapsed."""
        return self.reasons.get(checkpoint_of(one)) == ""

    def first(self) -> list[Collapse]:
        """Returns the first collapsed checkpoint of each trajectory that has one."""
        trajectories: dict[tuple[str, str, str, str, int], dict[int, str]] = defaultdict(dict)
        for (model, editor, variant, source, seed, n_edits), reason in self.reasons.items():
            trajectories[model, editor, variant, source, seed][n_edits] = reason
        found = []
        for (model, editor, variant, _, seed), reasons in trajectories.items():
            collapsed = min((n for n, reason in reasons.items() if reason), default=None)
            if collapsed is not None:
                healthy = max((n for n in reasons if n < collapsed), default=0)
                found.append(Collapse(model, editor, variant, seed, healthy, collapsed, reasons[collapsed]))
        return found


@dataclass(frozen=True)
class Collapse:
    """The first collapsed checkpoint of a trajectory.

    Args:
        model: The base model.
        editor: The method.
        variant: The method's variant.
        order_seed: The shuffle seed.
        healthy: The number of edits at the last checkpoint before the collapse.
        collapsed: The number of edits at the first collapsed checkpoint.
        reason: The reason for calling the model collapsed.
    """

    model: str
    editor: str
    variant: str
    order_seed: int
    healthy: int
    collapsed: int
    reason: str

    @property
    def where(self) -> str:
        """The edit at which the model collapsed, or the two checkpoints between which it did, in words."""
        if self.collapsed - self.healthy <= 1:
            return f"at edit {self.collapsed}"
        return f"between edits {self.healthy} and {self.collapsed}"


def _by_perplexity(members: Sequence[Measurement]) -> str | None:
    """Returns the reason if the perplexity is too high; None if there is none to judge."""
    measured = False
    for one in members:
        if one.metric != PERPLEXITY.name or not one.baseline:
            continue
        if one.n_too_long and not one.n_nonfinite:  # it has no value, and the model is not the cause
            continue
        measured = True
        if one.n_nonfinite or one.value is None or math.isinf(one.value):
            return "its perplexity is no longer finite"
        if one.value > PERPLEXITY_FACTOR * one.baseline:
            times = one.value / one.baseline
            return f"its perplexity is {_readable(one.value)}, {_readable(times)} times the unedited model's"
    return "" if measured else None


def _readable(size: float) -> str:
    """Returns a number without decimals; from a million on, with a power of ten."""
    if size < 1e6:
        return f"{size:,.0f}"
    mantissa, exponent = f"{size:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def _by_ability(members: Sequence[Measurement], suites: Suites, comparisons: Comparisons) -> str | None:
    """Returns the reason if too little ability is left; None if there is no ability to judge.

    Ability is the accuracy above chance, over the items that both models answered. Of a benchmark with
    subtasks the whole counts if it was measured; tasks and protocols of one suite are averaged.
    """
    measured: dict[tuple[str, str], list[Measurement]] = defaultdict(list)
    for one in members:
        of_answers = one.metric == ACCURACY.name and one.form is not None
        if of_answers and suites.section_of(one) is Section.ABILITIES:
            measured[one.suite, one.protocol].append(one)
    of_suite: dict[str, list[float]] = defaultdict(list)
    for (suite, _), tasks in measured.items():
        wholes = [one for one in tasks if not one.subtask] or tasks
        shares = [comparisons.remaining_ability(one) for one in wholes]
        known = [share for share in shares if share is not None]
        if known:
            of_suite[suite].append(math.fsum(known) / len(known))
    remaining = [math.fsum(shares) / len(shares) for shares in of_suite.values()]
    if not remaining:
        return None
    mean = math.fsum(remaining) / len(remaining)
    return f"{max(mean, 0.0):.0%} of its ability above chance is left" if mean < ABILITY_SHARE else ""
