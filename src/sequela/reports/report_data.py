"""The content of a report, read from the results of a run and independent of the layout."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sequela.analysis import CheckedMeasurement, check_validity
from sequela.core.wording import number_of
from sequela.reports.captions import caption_of
from sequela.reports.charts import Stroke, cost_colors, seconds_chart, series_chart, strokes_of
from sequela.reports.edit_set import FindingRow, SplitTable, finding_rows, sharing_ids, split_table
from sequela.reports.footnotes import footnotes
from sequela.reports.formatting import capitalized
from sequela.reports.retention_by_age import AgeTable, age_table
from sequela.reports.sample_means import SampleMeansRow, sample_means
from sequela.reports.series import MetricSeries, group_into_series, label_order
from sequela.reports.summary import Summary, summarize
from sequela.reports.tables import (
    CostRow,
    EditRow,
    EditTimeRow,
    InvalidScoreRow,
    NumberRow,
    PluginPackage,
    cost_rows,
    edit_rows,
    edit_time_rows,
    invalid_score_rows,
    number_rows,
    plugin_packages,
    success_columns,
)
from sequela.reports.warnings import dropped_warnings, run_warnings
from sequela.results import (
    EDIT_QUALITY,
    OF_APPLIED,
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
    in_study_order,
    open_store,
    order_label,
    protocol_info,
    read_manifest,
)
from sequela.results.metrics import EFFECTIVE_EDITS, metric_rank
from sequela.results.protocols import CATALOG as PROTOCOLS
from sequela.results.protocols import FROM_EDITS

OF_APPLIED_TITLE = " of applied edits"
"""The end of the title of a score over the edits that were applied and asked."""

_ALL_EDITS = {of_applied: task for task, of_applied in OF_APPLIED.items()}
"""The task over all edits, for each task over those that were applied and asked."""

SHOWN_ANSWERS = 200
"""The number of answers that a page shows for a trajectory's last checkpoint; the item files have all."""


@dataclass(frozen=True)
class Figure:
    """A chart: its title, protocol, description in a sentence, and Vega-Lite specification."""

    title: str
    protocol: str
    sentence: str
    chart: dict[str, Any]


@dataclass(frozen=True)
class ReportSection:
    """The section on abilities, safety or health: main charts, charts of subtasks, and the numbers."""

    title: str
    figures: tuple[Figure, ...]
    breakdowns: tuple[Figure, ...]
    numbers: tuple[NumberRow, ...]


@dataclass(frozen=True)
class EditPair:
    """A metric of edit quality right after each edit and at the checkpoints; None if it wasn't measured."""

    at_edit: Figure | None
    retained: Figure | None


@dataclass(frozen=True)
class EditedTrajectory:
    """The edits of one trajectory; `columns` has the metrics of their success."""

    title: str
    columns: tuple[str, ...]
    edits: tuple[EditRow, ...]


@dataclass(frozen=True)
class FinalAnswers:
    """The model's answers at a trajectory's last checkpoint; `omitted` further ones are in the item file."""

    title: str
    answers: tuple[ItemRecord, ...]
    omitted: int


@dataclass(frozen=True)
class ReportData:
    """The content of a report."""

    manifest: Manifest
    warnings: tuple[str, ...]
    legend: tuple[tuple[str, Stroke], ...]
    summary: Summary
    sample_means: tuple[SampleMeansRow, ...]
    footnotes: tuple[str, ...]
    invalid_scores: tuple[InvalidScoreRow, ...]
    edit_pairs: tuple[EditPair, ...]
    edit_figures: tuple[Figure, ...]
    edit_numbers: tuple[NumberRow, ...]
    ages: AgeTable
    edit_findings: tuple[FindingRow, ...]
    edit_splits: tuple[SplitTable, ...]
    trajectories: tuple[EditedTrajectory, ...]
    final_answers: tuple[FinalAnswers, ...]
    sections: tuple[ReportSection, ...]
    vs_retained_edits: tuple[Figure, ...]
    cost_chart: dict[str, Any] | None
    cost_colors: tuple[tuple[str, str], ...]
    costs: tuple[CostRow, ...]
    edit_times: tuple[EditTimeRow, ...]
    meanings: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    plugins: tuple[PluginPackage, ...]


def read_report_data(run_folder: Path) -> ReportData:
    """Reads the content of a report from a run's folder.

    Raises:
        SequelaError: The folder has no run, or its results can't be read.
    """
    manifest = read_manifest(run_folder)
    suites = manifest.suites
    with open_store(run_folder) as store:
        stored = in_study_order(store.measurements(), manifest.methods)
        measurements = check_validity(stored, suites)
        records = store.edit_records()
        costs = cost_rows(store.costs())
        last = _last_answers(store)
        incomplete = manifest.incompleteness(manifest.n_done(store.evaluations()))
    labels = label_order(measurements)
    series_list = group_into_series(measurements, suites)
    several = len({(series.model, series.edit_source) for series in series_list}) > 1
    figures = {id(series): _figure(series, labels, several) for series in series_list}
    edit_series = [series for series in series_list if series.section is Section.EDITS]
    pairs, others = _edit_pairs(edit_series)
    return ReportData(
        manifest=manifest,
        warnings=(
            *_warnings(incomplete, measurements),
            *run_warnings(stored, suites),
            *dropped_warnings(records),
        ),
        legend=tuple(zip(labels, strokes_of(labels), strict=True)),
        summary=(summary := _last_checkpoints(summarize(measurements, suites))),
        sample_means=sample_means(summary, suites),
        footnotes=tuple(footnotes(summary)),
        invalid_scores=tuple(invalid_score_rows(measurements, suites)),
        edit_pairs=tuple(
            EditPair(*(None if series is None else figures[id(series)] for series in pair)) for pair in pairs
        ),
        edit_figures=tuple(figures[id(series)] for series in others),
        edit_numbers=tuple(number_rows(edit_series)),
        edit_findings=finding_rows(manifest),
        edit_splits=tuple(
            table
            for one in last
            if (table := split_table(one.title, one.scored, sharing_ids(manifest, one.edit_sample), suites))
            is not None
        ),
        trajectories=_trajectories(records, suites),
        final_answers=_final_answers(last),
        ages=age_table(records, ((one.trajectory, one.n_edits, one.items) for one in last)),
        sections=tuple(
            _report_section(section, series_list, figures)
            for section in (Section.ABILITIES, Section.SAFETY, Section.HEALTH)
        ),
        vs_retained_edits=_vs_retained_edits(series_list, measurements, labels, several),
        cost_chart=seconds_chart([(row.step, row.label, row.seconds) for row in costs], labels)
        if costs
        else None,
        cost_colors=tuple(cost_colors((row.label for row in costs), labels).items()),
        costs=tuple(costs),
        edit_times=tuple(edit_time_rows(records)),
        meanings=_meanings(measurements, suites),
        notes=(*manifest.notes, *_notes(measurements)),
        plugins=tuple(plugin_packages(manifest.plugins)),
    )


def _warnings(incomplete: str | None, measurements: Sequence[Measurement]) -> tuple[str, ...]:
    warnings = []
    if incomplete is not None:
        warnings.append(f"This run is {incomplete}. The report covers only the finished evaluations.")
    broken = [one for one in measurements if one.n_nonfinite > 0]
    if broken:
        items = sum(one.n_nonfinite for one in broken)
        checkpoints: dict[str, set[int]] = defaultdict(set)
        for one in broken:
            checkpoints[one.label].add(one.n_edits)
        descriptions = [
            f"{label} after {number_of('edit', *sorted(counts))}" for label, counts in checkpoints.items()
        ]
        warnings.append(
            f"The model's logits were not finite on {items} items in {len(broken)} of "
            f"{len(measurements)} measurements ({'; '.join(descriptions)}). They count as failures."
        )
    warnings += _items_that(
        "are longer than the model's context and were not run",
        [(one, one.n_too_long) for one in measurements],
    )
    warnings += _items_that(
        "have thinking that was not finished within max_thinking_tokens",
        [(one, one.n_unfinished_thinking) for one in measurements],
        f"Raise max_thinking_tokens ({_limits(measurements)}).",
    )
    warnings += _items_that(
        "could not be run or scored",
        [(one, one.n_failed) for one in measurements],
        "The notes on the measurements give the reasons.",
    )
    return tuple(warnings)


def _limits(measurements: Sequence[Measurement]) -> str:
    """Returns the limits of thinking of the measurements in which some was not finished."""
    limits = {one.max_thinking_tokens for one in measurements if one.n_unfinished_thinking}
    return ", ".join(str(limit) for limit in sorted(limits - {None}, key=str))


def _items_that(problem: str, counted: Sequence[tuple[Measurement, int]], advice: str = "") -> list[str]:
    """Returns a warning about items that count as failures without having an answer; none if there are none.

    Most items are counted by several measurements: by each metric, protocol and checkpoint. So their number
    is given by task, as the greatest of any measurement.

    Args:
        problem: The predicate of the sentence.
        counted: The measurements with the number of such items.
        advice: A further sentence.
    """
    affected = [(one, n) for one, n in counted if n > 0]
    if not affected:
        return []
    most: dict[str, tuple[int, int]] = {}
    for one, n in affected:
        task = f"{one.suite}: {one.task}"
        most[task] = max(most.get(task, (0, 0)), (n, one.n))
    tasks = "; ".join(f"{task}, up to {n} of {of}" for task, (n, of) in sorted(most.items()))
    text = (
        f"In {len(affected)} of {len(counted)} measurements, items {problem} ({tasks}). They count as "
        "failures; several measurements may count the same item."
    )
    return [f"{text} {advice}".rstrip()]


def _last_checkpoints(summary: Summary) -> Summary:
    last: dict[tuple[object, ...], int] = {}
    for row in summary.rows:
        last[row.trajectory] = max(last.get(row.trajectory, 0), row.n_edits)
    return Summary(summary.columns, tuple(row for row in summary.rows if row.n_edits == last[row.trajectory]))


def _edit_pairs(
    series_list: Sequence[MetricSeries],
) -> tuple[list[tuple[MetricSeries | None, MetricSeries | None]], list[MetricSeries]]:
    sides: dict[tuple[str, ...], dict[str, MetricSeries]] = defaultdict(dict)
    others = []
    for series in series_list:
        all_edits = _ALL_EDITS.get(series.task, series.task)
        if all_edits in (SUCCESS_AT_EDIT, RETENTION_AT_N):
            key = (series.model, series.edit_source, series.suite, series.metric.name, series.protocol)
            sides[(*key, "" if all_edits == series.task else OF_APPLIED_TITLE)][all_edits] = series
        else:
            others.append(series)
    order = sorted(sides, key=lambda key: (metric_rank(key[3]), key[-1]))  # those of applied edits last
    return [(sides[key].get(SUCCESS_AT_EDIT), sides[key].get(RETENTION_AT_N)) for key in order], others


def _report_section(
    section: Section, series_list: Sequence[MetricSeries], figures: dict[int, Figure]
) -> ReportSection:
    members = [series for series in series_list if series.section is section]
    return ReportSection(
        title=section.value,
        figures=tuple(figures[id(one)] for one in members if not one.subtask),
        breakdowns=tuple(figures[id(one)] for one in members if one.subtask),
        numbers=tuple(number_rows(members)),
    )


def _figure(series: MetricSeries, labels: Sequence[str], several: bool) -> Figure:
    of_edits = series.suite == EDIT_QUALITY
    title = series.metric.label + (OF_APPLIED_TITLE if series.task in _ALL_EDITS else "")
    if not of_edits:
        title = f"{series.task_title}: {title}"
    if several:
        title = f"{title} ({series.model}, {series.edit_source})"
    protocol = protocol_info(series.protocol).label
    return Figure(capitalized(title), protocol, caption_of(series), series_chart(series, labels))


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
    """The items of a trajectory's last checkpoint: those of `retention@n`, and all scores of edits."""

    trajectory: str
    edit_sample: int | None
    n_edits: int
    title: str
    items: tuple[ItemRecord, ...]
    scored: tuple[ItemRecord, ...]


def _last_answers(store: ResultsStore) -> list[_LastAnswers]:
    last: dict[str, EvaluationKey] = {}
    for key in store.evaluations():
        if key.suite == EDIT_QUALITY and key.n_edits > 0:
            before = last.get(key.trajectory)
            last[key.trajectory] = key if before is None or before.n_edits < key.n_edits else before
    answers = []
    for key in last.values():
        scored = tuple(store.items(key))
        items = tuple(
            item for item in scored if item.task == RETENTION_AT_N and item.protocol != FROM_EDITS.name
        )
        measured = store.measurements(key=key)
        if items and measured:
            title = f"{_trajectory_title(measured[0])}, after {number_of('edit', key.n_edits)}"
            sample = measured[0].edit_sample
            answers.append(_LastAnswers(key.trajectory, sample, key.n_edits, title, items, scored))
    return sorted(answers, key=lambda one: one.title)


def _final_answers(last: Iterable[_LastAnswers]) -> tuple[FinalAnswers, ...]:
    kept = []
    for one in last:
        answers = [item for item in one.items if item.answer]
        if answers:
            omitted = max(0, len(answers) - SHOWN_ANSWERS)
            kept.append(FinalAnswers(one.title, tuple(answers[:SHOWN_ANSWERS]), omitted))
    return tuple(kept)


def _vs_retained_edits(
    series_list: Sequence[MetricSeries],
    measurements: Iterable[CheckedMeasurement],
    labels: Sequence[str],
    several: bool,
) -> tuple[Figure, ...]:
    """Returns charts of abilities, safety and health against the number of edits still expressed."""
    kept = {
        (one.model, one.label, one.edit_sample, one.order_seed, one.n_edits): one.value
        for one in measurements
        if one.metric == EFFECTIVE_EDITS.name and one.value is not None
    }
    if not kept:
        return ()
    figures = []
    for series in series_list:
        if series.section is Section.EDITS or not series.metric.headline or series.subtask:
            continue
        figure = _figure(series, labels, several)
        figures.append(replace(figure, chart=series_chart(series, labels, kept)))
    return tuple(figures)


def _trajectory_title(labeled: EditRecord | Measurement) -> str:
    order = order_label(labeled.edit_sample, labeled.order_seed)
    return f"{labeled.label} on {labeled.model}, edits from {labeled.edit_source}, {order}"


def _meanings(measurements: Sequence[Measurement], suites: Suites) -> tuple[tuple[str, str], ...]:
    """Returns the measured tasks, metrics and protocols that have an explanation, with the explanation."""
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
    locations: dict[str, list[str]] = defaultdict(list)
    for one in measurements:
        if one.note:
            locations[one.note].append(f"{one.task}, {one.label}, {one.n_edits} edits")
    notes = []
    for note, where in locations.items():
        more = f" and {len(where) - 3} more" if len(where) > 3 else ""
        notes.append(f"{note} ({'; '.join(where[:3])}{more})")
    return notes
