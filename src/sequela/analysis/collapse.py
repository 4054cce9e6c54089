"""Detection of collapsed models, and of the checkpoint at which each trajectory collapsed."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sequela.analysis.ability import RemainingAbility, remaining_ability
from sequela.analysis.comparison import Comparisons
from sequela.results.measurement import Measurement
from sequela.results.metrics import PERPLEXITY
from sequela.results.suite_info import Suites

PERPLEXITY_FACTOR = 10
"""A model has collapsed if its perplexity exceeds that of the unedited model by more than this factor."""

ABILITY_SHARE = 0.5
"""A model has collapsed if it retains less than this share of the unedited model's ability above chance.

The share is the mean over benchmarks, each of which counts once, whichever of its parts were measured. The
95 % interval of the share must be below the limit; otherwise there are too few items to say."""

Checkpoint = tuple[str, str, str, str, int | None, int, int]
"""Model, editor, variant, edit source, sample of edits, shuffle seed and number of edits."""


def checkpoint_of(one: Measurement) -> Checkpoint:
    """Returns the checkpoint at which a measurement was taken."""
    trajectory = (one.model, one.editor, one.variant, one.edit_source, one.edit_sample, one.order_seed)
    return (*trajectory, one.n_edits)


@dataclass(frozen=True)
class Collapses:
    """The checkpoints at which a model has collapsed.

    Args:
        reasons: The reason by checkpoint; empty where the model had not collapsed. A checkpoint is missing if
            nothing there shows whether it had.
        undecided: What is left of the ability at the checkpoints where it seems lost, and the items are too
            few to say so.
    """

    reasons: Mapping[Checkpoint, str]
    undecided: Mapping[Checkpoint, RemainingAbility] = field(default_factory=dict)

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
        reasons, undecided = {}, {}
        for checkpoint, members in checkpoints.items():
            ability = remaining_ability(members, suites, comparisons, ABILITY_SHARE)
            found = [_by_perplexity(members), _by_ability(ability)]
            known = [reason for reason in found if reason is not None]
            if known:
                reasons[checkpoint] = next(filter(None, known), "")
            if ability is not None and ability.share < ABILITY_SHARE and not any(known):
                undecided[checkpoint] = ability
        return cls(reasons, undecided)

    def reason(self, one: Measurement) -> str:
        """Returns why the model had collapsed when this was measured; empty if it had not."""
        return self.reasons.get(checkpoint_of(one), "")

    def is_healthy(self, one: Measurement) -> bool:
        """Returns whether perplexity or abilities show that the model had not collapsed."""
        return self.reasons.get(checkpoint_of(one)) == ""

    def unclear(self) -> list[Unclear]:
        """Returns the last undecided checkpoint of each trajectory that has one and no collapsed one."""
        collapsed = {checkpoint[:-1] for checkpoint, reason in self.reasons.items() if reason}
        last = {checkpoint[:-1]: checkpoint for checkpoint in sorted(self.undecided, key=lambda one: one[-1])}
        return [
            Unclear(model, editor, variant, seed, n_edits, self.undecided[checkpoint], sample)
            for trajectory, checkpoint in last.items()
            if trajectory not in collapsed
            for model, editor, variant, _, sample, seed, n_edits in (checkpoint,)
        ]

    def first(self) -> list[Collapse]:
        """Returns the first collapsed checkpoint of each trajectory that has one."""
        trajectories: dict[tuple[str, str, str, str, int | None, int], dict[int, str]] = defaultdict(dict)
        for checkpoint, reason in self.reasons.items():
            trajectories[checkpoint[:-1]][checkpoint[-1]] = reason
        found = []
        for (model, editor, variant, _, sample, seed), reasons in trajectories.items():
            collapsed = min((n for n, reason in reasons.items() if reason), default=None)
            if collapsed is not None:
                healthy = max((n for n in reasons if n < collapsed), default=0)
                reason = reasons[collapsed]
                found.append(Collapse(model, editor, variant, seed, healthy, collapsed, reason, sample))
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
        edit_sample: The sample of edits; None if the study has no samples.
    """

    model: str
    editor: str
    variant: str
    order_seed: int
    healthy: int
    collapsed: int
    reason: str
    edit_sample: int | None = None

    @property
    def where(self) -> str:
        """The edit at which the model collapsed, or the two checkpoints between which it did, in words."""
        if self.collapsed - self.healthy <= 1:
            return f"at edit {self.collapsed}"
        return f"between edits {self.healthy} and {self.collapsed}"


@dataclass(frozen=True)
class Unclear:
    """A checkpoint at which a model's ability seems lost, with too few items to say so.

    Args:
        model: The base model.
        editor: The method.
        variant: The method's variant.
        order_seed: The shuffle seed.
        n_edits: The number of edits.
        ability: What is left of the ability.
        edit_sample: The sample of edits; None if the study has no samples.
    """

    model: str
    editor: str
    variant: str
    order_seed: int
    n_edits: int
    ability: RemainingAbility
    edit_sample: int | None = None


def _by_ability(ability: RemainingAbility | None) -> str | None:
    """Returns the reason if too little ability is left; None if there is none, or too few items to say."""
    if ability is None:
        return None
    if ability.is_below(ABILITY_SHARE):
        return str(ability)
    return "" if ability.is_above(ABILITY_SHARE) else None


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
