"""What must be known of a run before any of its numbers is read."""

from __future__ import annotations

from collections.abc import Sequence

from sequela.analysis import Collapse, Collapses, ForgottenEdits, mostly_forgotten
from sequela.results import Measurement, Suites, method_label


def run_warnings(measurements: Sequence[Measurement], suites: Suites) -> list[str]:
    """Which models collapsed on their way and where, and which have hardly an edit in the end.

    Args:
        measurements: All of the run's.
        suites: The run's suites.
    """
    collapses = Collapses.among(measurements, suites)
    collapsed = [
        f"{_describe_trajectory(one)} collapsed {one.where}: {one.reason}." for one in collapses.first()
    ]
    unexpressed = [
        f"{_describe_trajectory(one)} was given {one.n_edits} edits and expresses {one.n_expressed} of them: "
        "whatever else "
        f"was measured there was measured on a model that has hardly an edit."
        for one in mostly_forgotten(measurements, collapses)
    ]
    return collapsed + unexpressed


def _describe_trajectory(one: Collapse | ForgottenEdits) -> str:
    return f"{method_label(one.editor, one.variant)} on {one.model} (order seed {one.order_seed})"
