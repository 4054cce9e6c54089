"""Whether a model has collapsed at a checkpoint, and where on its way it did."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sequela.results.measurement import Measurement
from sequela.results.metrics import ACCURACY, PERPLEXITY
from sequela.results.section import Section
from sequela.results.suite_info import Suites

PERPLEXITY_FACTOR = 10
"""A perplexity so many times the unedited model's is a collapse."""

ABILITY_SHARE = 0.5
"""With less than this share of the unedited model's ability left, a model has collapsed."""

Checkpoint = tuple[str, str, str, str, int, int]
"""Model, editor, variant, edit source, order seed and number of edits."""


def checkpoint_of(one: Measurement) -> Checkpoint:
    """The checkpoint a measurement was taken at."""
    return (one.model, one.editor, one.variant, one.edit_source, one.order_seed, one.n_edits)


@dataclass(frozen=True)
class Collapses:
    """The checkpoints at which a model has collapsed.

    Args:
        reasons: Why, by checkpoint; empty where the model had not collapsed.
    """

    reasons: Mapping[Checkpoint, str]

    @classmethod
    def among(cls, measurements: Iterable[Measurement], suites: Suites) -> Collapses:
        """Looks for them: by perplexity, and by what is left of ability.

        Args:
            measurements: All of a run's.
            suites: The run's suites, which say what an ability is.
        """
        checkpoints: dict[Checkpoint, list[Measurement]] = defaultdict(list)
        for one in measurements:
            if one.n_edits > 0:
                checkpoints[checkpoint_of(one)].append(one)
        return cls(
            {
                place: _by_perplexity(members) or _by_ability(members, suites)
                for place, members in checkpoints.items()
            }
        )

    def reason(self, one: Measurement) -> str:
        """Why the model had collapsed when this was measured; empty if it hadn't."""
        return self.reasons.get(checkpoint_of(one), "")

    def first(self) -> list[Collapse]:
        """Where each trajectory that collapsed was first seen to have done so."""
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
    """Where a trajectory collapsed.

    Args:
        model: The base.
        editor: The method.
        variant: Its variant.
        order_seed: The seed of the edits' order.
        healthy: After so many edits it was last seen not to have collapsed.
        collapsed: After so many it was first seen to have.
        reason: By what.
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
        """The edit, if readings are close enough to tell; else the two between which it was."""
        if self.collapsed - self.healthy <= 1:
            return f"at edit {self.collapsed}"
        return f"between edits {self.healthy} and {self.collapsed}"


def _by_perplexity(members: Sequence[Measurement]) -> str:
    for one in members:
        if one.metric != PERPLEXITY.name or not one.baseline:
            continue
        if one.n_nonfinite or one.value is None or math.isinf(one.value):
            return "its perplexity is no number any more"
        if one.value > PERPLEXITY_FACTOR * one.baseline:
            times = one.value / one.baseline
            return f"its perplexity is {_readable(one.value)}, {_readable(times)} times the unedited model's"
    return ""


def _readable(size: float) -> str:
    """A number without decimals; from a million on as a power of ten, since nobody counts twelve digits."""
    if size < 1e6:
        return f"{size:,.0f}"
    mantissa, exponent = f"{size:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def _by_ability(members: Sequence[Measurement], suites: Suites) -> str:
    """What is left above chance, on average over the tasks on which the unedited model was above it."""
    left = []
    for one in members:
        if one.metric != ACCURACY.name or one.form is None or suites.section_of(one) is not Section.ABILITIES:
            continue
        chance = one.form.chance or 0.0
        error = math.sqrt(0.25 / one.n) if one.n else math.inf
        if one.value is None or one.baseline is None or one.baseline < chance + 2 * error:
            continue
        left.append((one.value - chance) / (one.baseline - chance))
    if not left:
        return ""
    mean = math.fsum(left) / len(left)
    return f"{max(mean, 0.0):.0%} of its ability above chance is left" if mean < ABILITY_SHARE else ""
