"""A run's headline numbers as a Markdown page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from sequela.analysis import check_validity
from sequela.core.visible_text import visible
from sequela.reports.edit_set import FindingRow, finding_rows
from sequela.reports.footnotes import footnotes
from sequela.reports.sample_means import SampleMeansRow, sample_means
from sequela.reports.summary import Summary, SummaryCell, summarize
from sequela.reports.tables import invalid_score_rows, plugin_packages
from sequela.reports.warnings import dropped_warnings, run_warnings
from sequela.results import Manifest, Suites, in_study_order, open_store, read_manifest


def markdown_page(run_folder: Path) -> str:
    """Returns a run's results and environment in Markdown, with one table per trajectory.

    Args:
        run_folder: The folder of the run.

    Raises:
        SequelaError: The folder has no run.
    """
    manifest = read_manifest(run_folder)
    with open_store(run_folder) as store:
        stored = in_study_order(store.measurements(), manifest.methods)
        records = store.edit_records()
        warning = manifest.incompleteness(manifest.n_done(store.evaluations()))
    measurements = check_validity(stored, manifest.suites)
    parts = [f"# {manifest.name}", _environment(manifest)]
    if warning:
        parts.append(f"**{warning}**")
    remarks = (*run_warnings(stored, manifest.suites), *dropped_warnings(records))
    parts.extend(f"**{_safe(remark)}**" for remark in remarks)
    parts.append("Each cell has the value ± standard error (n). The first column is the unedited model.")
    summary = summarize(measurements, manifest.suites)
    parts.extend(_tables(summary))
    parts.extend(_means(summary, manifest.suites))
    if notes_below := footnotes(summary):
        parts.append("\n".join(f"* {_safe(line)}" for line in notes_below))
    invalid = [
        f"* {_safe(row.quantity)}, {_safe(row.label)} on {_safe(row.model)}, {row.order}, "
        f"after {row.edits} edits: {_safe(row.reason)}"
        for row in invalid_score_rows(measurements, manifest.suites)
    ]
    if invalid:
        parts += ["## Invalid scores, shown as n/a", "\n".join(invalid)]
    findings = [
        f"* {_safe(row.title)}: {row.count:,} of {row.of:,}{_of_which(row)}. {_safe(row.consequence)}"
        for row in finding_rows(manifest)
    ]
    if findings:
        parts += ["## Edit set", "\n".join(findings)]
    notes = sorted({f"{one.task}: {one.note}" for one in measurements if one.note})
    if notes or manifest.notes:
        parts.append("## Notes")
        parts.append("\n".join(f"* {_safe(note)}" for note in [*manifest.notes, *notes]))
    return visible("\n\n".join(parts) + "\n")


def _of_which(row: FindingRow) -> str:
    """Returns the sample and the models of a finding in parentheses; empty if it concerns all."""
    sample = [] if row.edit_sample is None else [f"sample {row.edit_sample}"]
    parts = [*sample, *([_safe(row.models)] if row.models else [])]
    return f" ({', '.join(parts)})" if parts else ""


def _environment(manifest: Manifest) -> str:
    environment = manifest.environment
    versions = ", ".join(f"{name} {version}" for name, version in environment.packages.items())
    duration = "" if manifest.ended is None else f"; {_duration(manifest)} from start to end"
    lines = [
        f"* Command: `{manifest.command}`",
        f"* Commit: {environment.git_commit or 'not from a checkout'} (sequela {environment.sequela})",
        f"* Date: {manifest.started:%Y-%m-%d %H:%M} UTC{duration}",
        f"* Hardware: {environment.cpu}, {environment.cores} cores, device {environment.device}",
        f"* Software: Python {environment.python}, {versions}",
    ]
    if manifest.plugins:
        lines.append(f"* Plug-ins: {_safe('; '.join(map(str, plugin_packages(manifest.plugins))))}")
    return "\n".join(lines)


def _duration(manifest: Manifest) -> str:
    assert manifest.ended is not None
    return f"{(manifest.ended - manifest.started).total_seconds() / 60:.0f} minutes"


def _tables(summary: Summary) -> Iterable[str]:
    for title, rows in summary.trajectories():
        lines = [
            f"## {_safe(title)}",
            "",
            "| after edits | " + " | ".join(str(row.n_edits) for row in rows) + " |",
            "|---|" + "--:|" * len(rows),
        ]
        for i, column in enumerate(summary.columns):
            cells = " | ".join(_cell(row.cells[i]) for row in rows)
            lines.append(f"| {_safe(column.title)} | {cells} |")
        yield "\n".join(lines)


def _means(summary: Summary, suites: Suites) -> Iterable[str]:
    """Yields the means over samples, if there are several: a table for each method, of all checkpoints."""
    methods: dict[tuple[str, str, str], list[SampleMeansRow]] = defaultdict(list)
    for row in sample_means(summary, suites):
        methods[(row.model, row.label, row.edit_source)].append(row)
    for (model, label, source), rows in methods.items():
        lines = [
            f"## {_safe(label)} on {_safe(model)}, edits from {_safe(source)}, means over samples",
            "",
            "| after edits | " + " | ".join(str(row.n_edits) for row in rows) + " |",
            "|---|" + "--:|" * len(rows),
            "| samples (trajectories) | "
            + " | ".join(f"{row.n_samples} ({row.n_trajectories})" for row in rows)
            + " |",
        ]
        for i, column in enumerate(summary.columns):
            lines.append(f"| {_safe(column.title)} | {' | '.join(row.cells[i] for row in rows)} |")
        lines += [
            "",
            "Each cell has the mean over samples ± its standard error.",
        ]
        yield "\n".join(lines)


def _cell(cell: SummaryCell | None) -> str:
    if cell is None:
        return "–"
    return f"{cell.text} ({cell.n})" if cell.n else cell.text


def _safe(text: str) -> str:
    """Returns a text with the characters escaped that have a meaning in a Markdown table."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
