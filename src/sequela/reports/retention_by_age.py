"""Retention of edits by their age, the number of edits since they were applied."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sequela.reports.formatting import format_with_error
from sequela.results import RETENTION_AT_N, EditRecord, ItemRecord, is_applied, mean_and_stderr
from sequela.results.metrics import EFFICACY
from sequela.results.protocols import FREE_DECODING

BOUNDS = (1, 11, 26, 51, 101, 251, 501)
"""The lower bounds of the age groups; the last edit has the age 1."""


@dataclass(frozen=True)
class AgeRow:
    """Retention of one trajectory at its last checkpoint, with a cell for each age group."""

    label: str
    model: str
    edit_sample: int | None
    order_seed: int
    n_edits: int
    cells: tuple[str, ...]


@dataclass(frozen=True)
class AgeTable:
    """Efficacy by free decoding, by age; `columns` names the age groups, the newest edits first."""

    columns: tuple[str, ...]
    rows: tuple[AgeRow, ...]


def age_table(
    records: Iterable[EditRecord], items: Iterable[tuple[str, int, Sequence[ItemRecord]]]
) -> AgeTable:
    """Groups the retention of edits by their age; edits that were dropped or not asked are left out.

    Args:
        records: The edit records of all trajectories.
        items: The last checkpoint of each trajectory: its hash, the number of edits, and the items.
    """
    by_trajectory: dict[str, dict[str, EditRecord]] = defaultdict(dict)
    for record in records:
        by_trajectory[record.trajectory][record.edit_id] = record
    retained = []
    for trajectory, n_edits, answers in items:
        edits = by_trajectory.get(trajectory, {})
        groups: dict[int, list[float]] = defaultdict(list)
        for item in answers:
            kind = (item.task, item.metric, item.protocol)
            if kind != (RETENTION_AT_N, EFFICACY.name, FREE_DECODING.name) or not item.answered:
                continue
            if item.item in edits and is_applied(item):
                groups[_group(n_edits - edits[item.item].position + 1)].append(item.value)
        if groups:
            retained.append((next(iter(edits.values())), n_edits, groups))
    present = sorted({group for _, _, groups in retained for group in groups})
    rows = [
        AgeRow(
            first.label,
            first.model,
            first.edit_sample,
            first.order_seed,
            n_edits,
            tuple(_cell(groups.get(group, [])) for group in present),
        )
        for first, n_edits, groups in retained
    ]
    rows.sort(key=lambda row: (row.model, row.label, row.edit_sample or 0, row.order_seed))
    return AgeTable(tuple(_name(group) for group in present), tuple(rows))


def _group(age: int) -> int:
    return max(index for index, bound in enumerate(BOUNDS) if bound <= age)


def _name(group: int) -> str:
    first = BOUNDS[group]
    return f"{first} to {BOUNDS[group + 1] - 1}" if group + 1 < len(BOUNDS) else f"{first} or more"


def _cell(values: Sequence[float]) -> str:
    if not values:
        return "–"
    mean, stderr = mean_and_stderr(values)
    return f"{format_with_error(mean, stderr, share=True)} ({len(values)})"
