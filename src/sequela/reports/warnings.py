"""Warnings that apply to a whole trajectory and qualify all of its numbers."""

from __future__ import annotations

from collections.abc import Sequence

from sequela.analysis import Collapse, Collapses, ForgottenEdits, Unclear, mostly_forgotten
from sequela.results import Measurement, Suites, method_label


def run_warnings(measurements: Sequence[Measurement], suites: Suites) -> list[str]:
    """Returns a warning for each trajectory that collapsed or that expresses hardly any edit at its end.

    Where an ability seems lost on too few items to say so, the warning says that.

    Args:
        measurements: All measurements of the run.
        suites: The run's suites.
    """
    collapses = Collapses.among(measurements, suites)
    collapsed = [
        f"{_describe_trajectory(one)} collapsed {one.where}: {one.reason}." for one in collapses.first()
    ]
    unclear = [
        f"{_describe_trajectory(one)}: too few items to say whether it had collapsed after "
        f"{one.n_edits} edits: {one.ability}."
        for one in collapses.unclear()
    ]
    unexpressed = [
        f"{_describe_trajectory(one)} expresses {_few(one.n_expressed)} of {one.n_edits} edits: all other "
        "scores there describe a model that has kept hardly any of its edits."
        for one in mostly_forgotten(measurements, collapses)
    ]
    return collapsed + unclear + unexpressed


def _few(n: int) -> str:
    return f"only {n}" if n else "none"


def _describe_trajectory(one: Collapse | Unclear | ForgottenEdits) -> str:
    return f"{method_label(one.editor, one.variant)} on {one.model} (shuffle seed {one.order_seed})"
