"""Detection of trajectories that express hardly any of their edits.

An unchanged score says nothing about the effect of a hundred edits if the model expresses hardly any of them:
they may have been forgotten, dropped, or replaced by later edits.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sequela.analysis.collapse import Collapses, checkpoint_of
from sequela.results.measurement import Measurement
from sequela.results.metrics import EFFECTIVE_EDITS

MOSTLY_FORGOTTEN_SHARE = 0.1
"""A trajectory is reported if the model expresses less than this share of its edits; of few edits, none."""


@dataclass(frozen=True)
class ForgottenEdits:
    """A trajectory whose final model expresses hardly any of its edits.

    Args:
        model: The base model.
        editor: The method.
        variant: The method's variant.
        order_seed: The shuffle seed.
        n_edits: The number of edits at the last checkpoint.
        n_expressed: The number of edits that the model expresses by free decoding.
        edit_sample: The sample of edits; None if the study has no samples.
    """

    model: str
    editor: str
    variant: str
    order_seed: int
    n_edits: int
    n_expressed: int
    edit_sample: int | None = None


def mostly_forgotten(measurements: Iterable[Measurement], collapses: Collapses) -> list[ForgottenEdits]:
    """Returns the trajectories that express hardly any edit at their last checkpoint.

    Trajectories that collapsed there are left out, since the collapse is reported separately.

    Args:
        measurements: All measurements of a run.
        collapses: The collapsed checkpoints of the run.
    """
    counted = [one for one in measurements if one.metric == EFFECTIVE_EDITS.name and one.value is not None]
    last = {checkpoint_of(one)[:-1]: one for one in sorted(counted, key=lambda one: one.n_edits)}
    return [
        ForgottenEdits(
            one.model,
            one.editor,
            one.variant,
            one.order_seed,
            one.n_edits,
            round(one.value or 0),
            one.edit_sample,
        )
        for one in last.values()
        if one.n_edits > 0
        and (one.value or 0) < MOSTLY_FORGOTTEN_SHARE * one.n_edits
        and not collapses.reason(one)
    ]
