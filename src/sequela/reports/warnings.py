"""Warnings that apply to a whole trajectory and qualify all of its numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from sequela.analysis import Collapse, Collapses, ForgottenEdits, Unclear, mostly_forgotten
from sequela.results import EditRecord, Measurement, Suites, method_label, order_label
from sequela.results.metrics import SUPERSEDED

NAMED = 3
"""The number of reasons for dropping edits, and of edits for each reason, that a warning names."""


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


def dropped_warnings(records: Iterable[EditRecord]) -> list[str]:
    """Returns a warning for each trajectory of which edits were dropped, with their ids and the reasons.

    Args:
        records: The edit records of the run.
    """
    trajectories: dict[str, list[EditRecord]] = defaultdict(list)
    for record in records:
        trajectories[record.trajectory].append(record)
    return [
        f"{_describe_trajectory(members[0])}: {len(dropped)} of {len(members)} edits "
        f"{'was' if len(dropped) == 1 else 'were'} dropped, so that the model doesn't have "
        f"{'it' if len(dropped) == 1 else 'them'}: {_with_reasons(dropped)}."
        for members in trajectories.values()
        if (dropped := [one for one in members if one.dropped and not _is_superseded(one)])
    ]


def _is_superseded(record: EditRecord) -> bool:
    """Returns whether a later edit of the same batch superseded an edit, which then counts as superseded."""
    return any(item.metric == SUPERSEDED.name for item in record.success)


def _with_reasons(dropped: Sequence[EditRecord]) -> str:
    """Names dropped edits by the reason; of each reason, the first ones."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for one in dropped:
        by_reason[one.dropped].append(one.edit_id)
    parts = []
    for reason, ids in list(by_reason.items())[:NAMED]:
        more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
        parts.append(f"{', '.join(ids[:NAMED])}{more} ({reason})")
    further = sum(len(ids) for ids in list(by_reason.values())[NAMED:])
    return "; ".join([*parts, *([f"{further} more for other reasons"] if further else [])])


def _few(n: int) -> str:
    return f"only {n}" if n else "none"


def _describe_trajectory(one: Collapse | Unclear | ForgottenEdits | EditRecord) -> str:
    order = order_label(one.edit_sample, one.order_seed)
    return f"{method_label(one.editor, one.variant)} on {one.model} ({order})"
