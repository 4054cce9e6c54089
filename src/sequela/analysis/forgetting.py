"""Whether a model that was edited expresses its edits at all.

A score that stays where it was says nothing about a hundred edits if hardly one of them is there: forgotten,
dropped, or replaced by the next as some methods do.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sequela.analysis.collapse import Collapses, checkpoint_of
from sequela.results.measurement import Measurement
from sequela.results.metrics import EFFECTIVE_EDITS

MOSTLY_FORGOTTEN_SHARE = 0.1
"""Below this share of its edits a model expresses hardly any."""

MIN_EDITS = 10
"""Of fewer edits nothing is said."""


@dataclass(frozen=True)
class ForgottenEdits:
    """A trajectory that ended with hardly an edit in the model.

    Args:
        model: The base.
        editor: The method.
        variant: Its variant.
        order_seed: The seed of the edits' order.
        n_edits: After so many edits.
        n_expressed: So many are expressed, by free decoding.
    """

    model: str
    editor: str
    variant: str
    order_seed: int
    n_edits: int
    n_expressed: int


def mostly_forgotten(measurements: Iterable[Measurement], collapses: Collapses) -> list[ForgottenEdits]:
    """Trajectories whose last checkpoint has hardly an edit, though the model has not collapsed there.

    Of one that has, the collapse says enough.

    Args:
        measurements: All of a run's.
        collapses: Those among them.
    """
    counted = [one for one in measurements if one.metric == EFFECTIVE_EDITS.name and one.value is not None]
    last = {checkpoint_of(one)[:-1]: one for one in sorted(counted, key=lambda one: one.n_edits)}
    return [
        ForgottenEdits(one.model, one.editor, one.variant, one.order_seed, one.n_edits, round(one.value or 0))
        for one in last.values()
        if one.n_edits >= MIN_EDITS
        and (one.value or 0) < MOSTLY_FORGOTTEN_SHARE * one.n_edits
        and not collapses.reason(one)
    ]
