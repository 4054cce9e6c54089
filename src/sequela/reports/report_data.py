"""What stands in a report: everything read from the results, nothing laid out yet."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sequela.analysis import CheckedMeasurement, check_validity
from sequela.reports.charts import Stroke, cost_colors, panel_chart, seconds_chart, strokes_of
from sequela.reports.formatting import capitalized, format_difference, format_number
from sequela.reports.retention_by_age import AgeTable, age_table
from sequela.reports.series import Panel, label_order, panels_of
from sequela.reports.summary import Summary, summarize
from sequela.reports.tables import (
    CostRow,
    EditRow,
    EditTimeRow,
    InvalidScoreRow,
    NumberRow,
    cost_rows,
    edit_rows,
    edit_time_rows,
    invalid_score_rows,
    number_rows,
    success_columns,
)
from sequela.reports.warnings import remarks
from sequela.results import (
    EDIT_QUALITY,
    RETENTION_AT_N,
    SUCCESS_AT_EDIT,
    EditRecord,
    EvaluationKey,
    ItemRecord,
    Manifest,
    Measurement,
    ResultsStore,
    Section,
    Suites,
    open_store,
    protocol_info,
    read_manifest,
)
from sequela.results.metrics import EFFECTIVE_EDITS, metric_rank
from sequela.results.protocols import CATALOG as PROTOCOLS

SHOWN_ANSWERS = 200
"""How many answers of one trajectory's last checkpoint a page shows; all are in the Parquet files."""


@dataclass(frozen=True)
class Figure:
    """A chart with its title and protocol, the sentence that says what it shows, and its specification."""

    title: str
    protocol: str
    sentence: str
    chart: dict[str, Any]


@dataclass(frozen=True)
class Part:
    """A section of abilities, safety or health: charts in front, parts of tasks behind, the numbers."""

    title: str
    figures: tuple[Figure, ...]
    breakdowns: tuple[Figure, ...]
    numbers: tuple[NumberRow, ...]


@dataclass(frozen=True)
class EditPair:
    """A metric of edit quality measured both ways; None where it wasn't."""

    at_edit: Figure | None
    retained: Figure | None


@dataclass(frozen=True)
class EditedTrajectory:
    """The edits of one trajectory, and its answers at the last checkpoint."""

    title: str
    columns: tuple[str, ...]
    edits: tuple[EditRow, ...]


@dataclass(frozen=True)
class KeptAnswers:
    """What the model said at a trajectory's last checkpoint; `omitted` more are in the Parquet file."""

    title: str
    answers: tuple[ItemRecord, ...]
    omitted: int


@dataclass(frozen=True)
class Contents:
    """Everything a report says."""

    manifest: Manifest
    warnings: tuple[str, ...]
    legend: tuple[tuple[str, Stroke], ...]
    glance: Summary
    invalid_scores: tuple[InvalidScoreRow, ...]
    edit_pairs: tuple[EditPair, ...]
    edit_figures: tuple[Figure, ...]
    edit_numbers: tuple[NumberRow, ...]
    ages: AgeTable
    trajectories: tuple[EditedTrajectory, ...]
    kept: tuple[KeptAnswers, ...]
    parts: tuple[Part, ...]
    against_kept: tuple[Figure, ...]
    cost_chart: dict[str, Any] | None
    cost_colors: tuple[tuple[str, str], ...]
    costs: tuple[CostRow, ...]
    edit_times: tuple[EditTimeRow, ...]
    meanings: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


def read_contents(run_folder: Path) -> Contents:
    """Reads what a report of a run says; runs no model.

    Raises:
        SequelaError: The folder has no run, or results that can't be read.
    """
    manifest = read_manifest(run_folder)
    suites = manifest.suites
    with open_store(run_folder) as store:
        stored = store.measurements()
        measurements = check_validity(stored, suites)
        records = store.edit_records()
        costs = cost_rows(store.costs())
        last = _last_answers(store)
        incomplete = manifest.incompleteness(store.count_evaluations())
    labels = label_order(measurements)
    panels = panels_of(measurements, suites)
    several = len({(panel.model, panel.edit_source) for panel in panels}) > 1
    figures = {id(panel): _figure(panel, labels, several) for panel in panels}
    edit_panels = [panel for panel in panels if panel.section is Section.EDITS]
    pairs, others = _edit_pairs(edit_panels)
    return Contents(
        manifest=manifest,
        warnings=(*_warnings(incomplete, measurements), *remarks(stored, suites)),
        legend=tuple(zip(labels, strokes_of(labels), strict=True)),
        glance=_last_checkpoints(summarize(measurements, suites)),
        invalid_scores=tuple(invalid_score_rows(measurements, suites)),
        edit_pairs=tuple(
            EditPair(*(None if panel is None else figures[id(panel)] for panel in pair)) for pair in pairs
        ),
        edit_figures=tuple(figures[id(panel)] for panel in others),
        edit_numbers=tuple(number_rows(edit_panels)),
        trajectories=_trajectories(records, suites),
        kept=_kept_answers(last),
        ages=age_table(records, ((one.trajectory, one.n_edits, one.items) for one in last)),
        parts=tuple(
            _part(section, panels, figures) for section in (Section.ABILITIES, Section.SAFETY, Section.HEALTH)
        ),
        against_kept=_against_kept(panels, measurements, labels, several),
        cost_chart=seconds_chart([(row.step, row.label, row.seconds) for row in costs], labels)
        if costs
        else None,
        cost_colors=tuple(cost_colors((row.label for row in costs), labels).items()),
        costs=tuple(costs),
        edit_times=tuple(edit_time_rows(records)),
        meanings=_meanings(measurements, suites),
        notes=(*manifest.notes, *_notes(measurements)),
    )


def _warnings(incomplete: str | None, measurements: Sequence[Measurement]) -> tuple[str, ...]:
    warnings = []
    if incomplete is not None:
        warnings.append(f"This run is {incomplete}. What follows is only what was measured.")
    broken = [one for one in measurements if one.n_nonfinite > 0]
    if broken:
        items = sum(one.n_nonfinite for one in broken)
        places: dict[str, set[int]] = defaultdict(set)
        for one in broken:
            places[one.label].add(one.n_edits)
        told = [f"{label} after {_edits(*sorted(found))}" for label, found in places.items()]
        warnings.append(
            f"The model computed numbers that are not finite on {items} items behind {len(broken)} of "
            f"{len(measurements)} measurements ({'; '.join(told)}). They count as failures."
        )
    warnings += _items_that(
        "are longer than the model's context and were not asked.",
        [(one, one.n_too_long) for one in measurements],
    )
    warnings += _items_that(
        "could not be asked or read; the numbers' notes say why.",
        [(one, one.n_failed) for one in measurements],
    )
    return tuple(warnings)


def _items_that(what: str, counted: Sequence[tuple[Measurement, int]]) -> list[str]:
    """A warning of items that count as failures without being answers; none if there are none."""
    found = [(one, n) for one, n in counted if n > 0]
    if not found:
        return []
    tasks = sorted({f"{one.suite}: {one.task}" for one, _ in found})
    return [
        f"{sum(n for _, n in found)} items behind {len(found)} of {len(counted)} measurements "
        f"({'; '.join(tasks)}) {what} They count as failures."
    ]


def _last_checkpoints(summary: Summary) -> Summary:
    last: dict[tuple[str, str, str, int], int] = {}
    for row in summary.rows:
        place = (row.model, row.label, row.edit_source, row.order_seed)
        last[place] = max(last.get(place, 0), row.n_edits)
    rows = [
        row
        for row in summary.rows
        if row.n_edits == last[(row.model, row.label, row.edit_source, row.order_seed)]
    ]
    return Summary(summary.columns, tuple(rows))


def _edit_pairs(panels: Sequence[Panel]) -> tuple[list[tuple[Panel | None, Panel | None]], list[Panel]]:
    sides: dict[tuple[str, ...], dict[str, Panel]] = defaultdict(dict)
    others = []
    for panel in panels:
        if panel.task in (SUCCESS_AT_EDIT, RETENTION_AT_N):
            place = (panel.model, panel.edit_source, panel.suite, panel.metric.name, panel.protocol)
            sides[place][panel.task] = panel
        else:
            others.append(panel)
    order = sorted(sides, key=lambda place: metric_rank(place[3]))
    return [(sides[place].get(SUCCESS_AT_EDIT), sides[place].get(RETENTION_AT_N)) for place in order], others


def _part(section: Section, panels: Sequence[Panel], figures: dict[int, Figure]) -> Part:
    members = [panel for panel in panels if panel.section is section]
    return Part(
        title=section.value,
        figures=tuple(figures[id(one)] for one in members if not one.subtask),
        breakdowns=tuple(figures[id(one)] for one in members if one.subtask),
        numbers=tuple(number_rows(members)),
    )


def _figure(panel: Panel, labels: Sequence[str], several: bool) -> Figure:
    of_edits = panel.suite == EDIT_QUALITY
    title = panel.metric.label
    if not of_edits:
        title = f"{panel.task_title}: {title}"
    if several:
        title = f"{title} ({panel.model}, {panel.edit_source})"
    protocol = protocol_info(panel.protocol).label
    return Figure(capitalized(title), protocol, _sentence(panel), panel_chart(panel, labels))


def _sentence(panel: Panel) -> str:
    """What a chart shows, for those who read it and for those who can't see it."""
    share = panel.share
    told = []
    meaning = panel.metric.meaning
    if panel.suite == EDIT_QUALITY and meaning:
        told.append(f"{capitalized(meaning)}.")
    baseline = panel.baseline[-1][1] if panel.baseline else None
    if baseline is not None:
        told.append(f"Unedited: {format_number(baseline, share)}.")
    ends = []
    for curve in panel.curves:
        last = curve.points[-1]
        if last.n_edits == 0:
            continue
        seed = f" (seed {curve.order_seed})" if panel.seeds > 1 else ""
        against = baseline if last.baseline is None else last.baseline
        change = ""
        if last.value is not None and against is not None and math.isfinite(last.value):
            change = f" ({format_difference(last.value - against, share)})"
        ends.append(
            f"{curve.label}{seed} {format_number(last.value, share)}{change} after {_edits(last.n_edits)}"
        )
    if ends:
        told.append(f"{'; '.join(ends)}.")
    for reason, members in _undrawn(panel).items():
        places = [f"{one.label} after {_edits(one.n_edits)}" for one in members]
        told.append(f"Not drawn, because {reason}: {', '.join(places)}.")
    return " ".join(told)


def _undrawn(panel: Panel) -> dict[str, list[CheckedMeasurement]]:
    """The points that aren't drawn, by what keeps them from it."""
    found: dict[str, list[CheckedMeasurement]] = defaultdict(list)
    for one in panel.undrawn:
        reason = (
            f"the score means nothing ({one.invalid_because})"
            if one.invalid_because
            else "there is no finite value"
        )
        found[reason].append(one)
    return found


def _trajectories(records: Iterable[EditRecord], suites: Suites) -> tuple[EditedTrajectory, ...]:
    groups: dict[str, list[EditRecord]] = defaultdict(list)
    for record in records:
        groups[record.trajectory].append(record)
    trajectories = []
    for members in groups.values():
        columns = success_columns(members)
        trajectories.append(
            EditedTrajectory(
                title=_trajectory_title(members[0]),
                columns=tuple(
                    f"{suites.metric(EDIT_QUALITY, metric).label}, {protocol_info(protocol).label}"
                    for metric, protocol in columns
                ),
                edits=tuple(edit_rows(members, columns)),
            )
        )
    return tuple(sorted(trajectories, key=lambda one: one.title))


@dataclass(frozen=True)
class _LastAnswers:
    """What was said about edits at a trajectory's last checkpoint."""

    trajectory: str
    n_edits: int
    title: str
    items: tuple[ItemRecord, ...]


def _last_answers(store: ResultsStore) -> list[_LastAnswers]:
    last: dict[str, EvaluationKey] = {}
    for key in store.evaluations():
        if key.suite == EDIT_QUALITY and key.n_edits > 0:
            before = last.get(key.trajectory)
            last[key.trajectory] = key if before is None or before.n_edits < key.n_edits else before
    found = []
    for key in last.values():
        items = tuple(item for item in store.items(key) if item.task == RETENTION_AT_N)
        measured = store.measurements(key=key)
        if items and measured:
            title = f"{_trajectory_title(measured[0])}, after {_edits(key.n_edits)}"
            found.append(_LastAnswers(key.trajectory, key.n_edits, title, items))
    return sorted(found, key=lambda one: one.title)


def _kept_answers(last: Iterable[_LastAnswers]) -> tuple[KeptAnswers, ...]:
    kept = []
    for one in last:
        answers = [item for item in one.items if item.answer]
        if answers:
            omitted = max(0, len(answers) - SHOWN_ANSWERS)
            kept.append(KeptAnswers(one.title, tuple(answers[:SHOWN_ANSWERS]), omitted))
    return tuple(kept)


def _against_kept(
    panels: Sequence[Panel],
    measurements: Iterable[CheckedMeasurement],
    labels: Sequence[str],
    several: bool,
) -> tuple[Figure, ...]:
    """Abilities, safety and health once more, against the edits that the model still expresses."""
    kept = {
        (one.model, one.label, one.order_seed, one.n_edits): one.value
        for one in measurements
        if one.metric == EFFECTIVE_EDITS.name and one.value is not None
    }
    if not kept:
        return ()
    figures = []
    for panel in panels:
        if panel.section is Section.EDITS or not panel.metric.headline or panel.subtask:
            continue
        figure = _figure(panel, labels, several)
        figures.append(replace(figure, chart=panel_chart(panel, labels, kept)))
    return tuple(figures)


def _trajectory_title(labeled: EditRecord | Measurement) -> str:
    label = labeled.label
    return f"{label} on {labeled.model}, edits from {labeled.edit_source}, order seed {labeled.order_seed}"


def _meanings(measurements: Sequence[Measurement], suites: Suites) -> tuple[tuple[str, str], ...]:
    """Tasks, metrics and protocols that were measured and whose names need words."""
    by_name = {one.metric: suites.metric_of(one) for one in measurements}
    metrics = sorted(by_name.values(), key=lambda metric: metric_rank(metric.name))
    measured = {one.protocol for one in measurements}
    protocols = [one for name, one in PROTOCOLS.items() if name in measured]
    explained = [
        *suites.meanings(measurements),
        *((one.label, one.meaning) for one in metrics),
        *((one.label, one.meaning) for one in protocols),
    ]
    return tuple((label, meaning) for label, meaning in explained if meaning)


def _notes(measurements: Iterable[Measurement]) -> list[str]:
    places: dict[str, list[str]] = defaultdict(list)
    for one in measurements:
        if one.note:
            label = one.label
            places[one.note].append(f"{one.task}, {label}, {one.n_edits} edits")
    notes = []
    for note, where in places.items():
        more = f" and {len(where) - 3} more" if len(where) > 3 else ""
        notes.append(f"{note} ({'; '.join(where[:3])}{more})")
    return notes


def _edits(*counts: int) -> str:
    """Counts of edits as they are read: `1 edit`, `1, 5, 10 edits`."""
    return "1 edit" if counts == (1,) else f"{', '.join(map(str, counts))} edits"
