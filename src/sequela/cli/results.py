"""`sequela results`, `sequela rescore` and `sequela report`: the results of a run."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sequela.cli import options
from sequela.cli.console import print_json, print_line, print_table, shown, standard_error
from sequela.cli.run import print_summary
from sequela.core.errors import BadInputError, UnknownNameError

if TYPE_CHECKING:
    from sequela.analysis import CheckedMeasurement
    from sequela.results import Measurement

_SAMPLE = ("sample",)
"""The heading of the column that only results of studies with samples of edits have."""


def results(
    run: options.Run,
    suite: Annotated[str | None, typer.Option(help="Show only this suite.")] = None,
    task: Annotated[str | None, typer.Option(help="Show only this task.")] = None,
    metric: Annotated[str | None, typer.Option(help="Show only this metric.")] = None,
    editor: Annotated[str | None, typer.Option(help="Show only this method.")] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Show all measurements instead of the summary.")
    ] = False,
    as_markdown: Annotated[
        bool,
        typer.Option("--markdown", help="Print the summary and the environment of the run as Markdown."),
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Show the results of a run, each with its n, standard error and unedited baseline."""
    if as_markdown:
        others = {"--json": as_json, "--all": every, "--suite": suite, "--task": task, "--metric": metric}
        for option, given in {**others, "--editor": editor}.items():
            if given:
                raise BadInputError(
                    f"--markdown and {option} can't be combined: it prints the summary of the whole run.",
                    hint="Leave one of them out; `--json` and the table have single measurements.",
                )

    from sequela.analysis import check_validity
    from sequela.reports import markdown_page
    from sequela.reports.tables import invalid_score_rows
    from sequela.results import in_study_order, open_store, read_manifest

    chosen = {"suite": suite, "task": task, "metric": metric, "editor": editor}
    manifest = read_manifest(run)
    with open_store(run) as store:
        # All measurements are checked, since a rule may compare any of them.
        measured = in_study_order(store.measurements(), manifest.methods)
        checked = check_validity(measured, manifest.suites)
        warning = manifest.incompleteness(manifest.n_done(store.evaluations()))
    selected = [
        one for one in checked if all(name in (None, getattr(one, field)) for field, name in chosen.items())
    ]
    if not selected:
        _check_known(chosen, checked)
    if warning:
        standard_error().print(f"[yellow]{shown(warning)}[/]", highlight=False, soft_wrap=True)
    if as_json:
        print_json([measurement.model_dump(mode="json") for measurement in selected])
        return
    if as_markdown:
        sys.stdout.write(markdown_page(run))
        return
    if not every and not any(chosen.values()):
        print_summary(run)
        return
    sampled = any(one.edit_sample is not None for one in checked)
    print_table(
        f"Measurements of {run}",
        [
            *("method", *_SAMPLE[:sampled], "seed", "edits", "suite", "task", "metric", "protocol"),
            *("value", "± se", "n", "unedited"),
        ],
        (
            [
                one.label,
                *_sample(one, sampled),
                one.order_seed,
                one.n_edits,
                one.suite,
                one.task,
                one.metric,
                one.protocol,
                _shown(one),
                _number(one.stderr),
                one.n,
                _number(one.baseline),
            ]
            for one in selected
        ),
    )
    for row in invalid_score_rows(selected, manifest.suites):
        print_line(f"n/a: {row.quantity}, {row.label}, after {row.edits} edits: {row.reason}")


def rescore(
    run: options.Run,
    task_file: Annotated[
        list[Path] | None,
        typer.Option("--task-file", help="A task file of your own that the run used. Can be repeated."),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Rescore the stored answers of a run by the current rules, without running a model."""
    from sequela.evaluation.lm_eval.task_file import read_task_file
    from sequela.studies.rescoring import rescore_run

    result = rescore_run(run, [read_task_file(path) for path in task_file or []])
    changed = [pair for one in result.done for pair in one.changed]
    if as_json:
        print_json(
            {
                "rescored": len(result.done),
                "left": result.left,
                "reasons": result.reasons,
                "changed": [
                    {"before": before.model_dump(mode="json"), "after": after.model_dump(mode="json")}
                    for before, after in changed
                ],
            }
        )
        return
    print_line(
        f"{len(result.done)} evaluations rescored, {len(changed)} values changed"
        + (f"; not rescored: {', '.join(result.left)}" if result.left else "")
    )
    for reason in dict.fromkeys(result.reasons.values()):
        suites = [name for name in result.left if result.reasons[name] == reason]
        print_line(f"{', '.join(suites)}: {reason}.")
    if changed:
        sampled = any(one.edit_sample is not None for _, one in changed)
        print_table(
            "Changed values",
            [
                *("method", *_SAMPLE[:sampled], "seed", "edits", "task", "metric", "protocol"),
                *("before", "after", "n"),
            ],
            (
                [
                    one.label,
                    *_sample(one, sampled),
                    one.order_seed,
                    one.n_edits,
                    one.task,
                    one.metric,
                    one.protocol,
                    _number(before.value),
                    _number(one.value),
                    one.n,
                ]
                for before, one in changed
            ),
        )


def report(
    run: options.Run,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The folder for the report (default: <run>/report).")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Write the report of a run as one self-contained HTML file."""
    from sequela.reports import write_report

    page = write_report(run, output or run / "report")
    if as_json:
        print_json({"report": str(page)})
    else:
        print_line(f"Report: {page}")


def _check_known(chosen: Mapping[str, str | None], measured: Sequence[CheckedMeasurement]) -> None:
    """Rejects names that are not in the run. A combination of known names may have no measurements."""
    for field, name in chosen.items():
        known = {str(getattr(one, field)) for one in measured}
        if name is not None and known and name not in known:
            raise UnknownNameError(field, name, known)


def _sample(one: Measurement, sampled: bool) -> list[object]:
    """Returns the cell with the sample of edits, if the table has one."""
    return [] if not sampled else ["-" if one.edit_sample is None else one.edit_sample]


def _shown(one: CheckedMeasurement) -> str:
    return f"n/a ({one.invalid_because.partition(':')[0]})" if one.invalid_because else _number(one.value)


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if 1e4 <= abs(value) < 1e15 and value == round(value) else f"{value:.4g}"
