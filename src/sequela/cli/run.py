"""`sequela run` and `sequela demo`: runs of whole studies."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import typer

from sequela.cli import options
from sequela.cli.console import print_json, print_line, print_table, shown, standard_error
from sequela.cli.plan import show_plan
from sequela.cli.progress import shown_progress
from sequela.cli.signals import STOPPED
from sequela.core.hardware_names import check_dtype_name


def run(
    study: Annotated[Path, typer.Argument(help="The study file (YAML).", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The folder for the run (default: runs/<name of the study>)."),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            parser=check_dtype_name,
            metavar="TYPE",
            help="The data type of the weights, which overrides the study's: float32, bfloat16, float16, or "
            "auto (bfloat16 where the hardware supports it).",
        ),
    ] = None,
    memory: options.Memory = None,
    workers: Annotated[
        int,
        typer.Option(
            min=1,
            max=512,
            help="The number of processes that share the work and the processor's cores.",
        ),
    ] = 1,
    executor: Annotated[
        str, typer.Option(help="Where the workers are: local, or ray for a Ray cluster.")
    ] = "local",
    address: Annotated[
        str | None,
        typer.Option(help="The address of the Ray cluster, such as 10.0.0.1:6379 or auto; none starts one."),
    ] = None,
    cpus: Annotated[
        int,
        typer.Option(min=1, max=1024, help="The CPUs, and so the threads, of each worker on a Ray cluster."),
    ] = 1,
    update: Annotated[
        bool,
        typer.Option(
            "--update",
            help="Go on with a run of another version of the study: remove the results that this one "
            "doesn't have, and measure only what is new or changed.",
        ),
    ] = False,
    model: Annotated[
        list[str] | None, typer.Option(help="Run only this model of the study; may be repeated.")
    ] = None,
    editor: Annotated[
        list[str] | None, typer.Option(help="Run only this method of the study; may be repeated.")
    ] = None,
    sample: Annotated[
        list[int] | None, typer.Option(help="Run only this sample of edits; may be repeated.")
    ] = None,
    seed: Annotated[
        list[int] | None, typer.Option(help="Run only this order of edits; may be repeated.")
    ] = None,
    join: Annotated[
        bool,
        typer.Option(
            "--join",
            help="If another process is running the study in the folder, do tasks for it. It collects the "
            "results; if it ends before the run is complete, this process takes its place.",
        ),
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Only estimate what it will take, as `sequela plan` does.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Run a study: models x methods x orders of edits, measured at checkpoints.

    The same command resumes an interrupted run.
    """
    from sequela.studies import read_study
    from sequela.studies.run_part import RunPart
    from sequela.studies.study_file import check_device, check_memory

    overrides = {"dtype": precision, "memory": memory}
    given = {key: value for key, value in overrides.items() if value is not None}
    with options.memory_limit_set_by("--memory" if memory else f"`memory` in {study}"):
        chosen = read_study(study, output).model_copy(update=given)
        check_memory(chosen)
        check_device(chosen, study)
        part = RunPart(tuple(model or ()), tuple(editor or ()), tuple(seed or ()), tuple(sample or ()))
        part.check(chosen)
        if plan:
            show_plan(chosen, as_json)
            return
        given_workers = {"count": workers, "executor": executor, "address": address, "cpus": cpus}
        _run(chosen, output, as_json, given_workers, {"join": join, "update": update, "part": part})


def demo(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The folder for the run (default: runs/demo).")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Run a short study: edit a small model, measure it at checkpoints, and write a report."""
    from sequela.studies import study_from_text

    text = files("sequela.studies").joinpath("demo.yaml").read_text(encoding="utf-8")
    _run(study_from_text(text, "demo.yaml"), output, as_json)


def _run(  # type: ignore[no-untyped-def]
    study,
    output: Path | None,
    as_json: bool,
    workers: Mapping[str, Any] | None = None,
    how: Mapping[str, Any] | None = None,
) -> None:
    from sequela.core.arguments import check_choice
    from sequela.studies.reachability import check_services
    from sequela.studies.run_lock import check_not_running
    from sequela.studies.study_file import run_folder

    given = workers or {}
    check_choice("executor", given.get("executor", "local"), ["local", "ray"])
    folder = run_folder(study, output)
    if not (how or {}).get("join"):
        check_not_running(folder)  # like what follows, before the imports below, which take seconds
    check_services(folder, given.get("executor", "local"), given.get("address"))

    from sequela.reports import write_report
    from sequela.results import Status
    from sequela.studies import run_study
    from sequela.studies.workers import Workers

    command = shlex.join(["sequela", *sys.argv[1:]])
    console = standard_error()
    with shown_progress(console) as progress:
        result = run_study(study, folder, progress, command, Workers(**given), **(how or {}))
    if result.joined and result.status is Status.STOPPED:
        where = shown(str(folder))
        console.print(
            f"Stopped: this process does no more tasks for the run in {where}, which goes on without it.",
            highlight=False,
            soft_wrap=True,
        )
        raise typer.Exit(STOPPED)
    if result.canceled:
        console.print(
            f"Canceled: {shown(', '.join(result.canceled))}. {result.done} of {result.planned} evaluations "
            f"are done and stored in {shown(str(folder))}.\nMeasure the rest with: {shown(command)}",
            highlight=False,
            soft_wrap=True,
        )
    elif result.status not in (Status.COMPLETE, Status.PARTIAL):
        console.print(
            f"Stopped: {result.done} of {result.planned} evaluations are done and stored in "
            f"{shown(str(folder))}.\nResume with: {shown(command)}",
            highlight=False,
            soft_wrap=True,
        )
        raise typer.Exit(STOPPED)
    report = folder / "report"
    # The process that collected the results of a run writes the report, too.
    page = report / "index.html" if result.joined else write_report(folder, report)
    if as_json:
        print_json(
            {
                "run": str(folder),
                "status": result.status.value,
                "evaluations": result.done,
                "planned": result.planned,
                "report": str(page),
            }
        )
        return
    print_summary(folder)
    if result.status is Status.PARTIAL:
        print_line(f"{result.done} of {result.planned} evaluations; the rest was not asked for.")
    print_line(f"Report: {page}")


def print_summary(folder: Path) -> None:
    """Prints a table per trajectory of a run, with a row per quantity and a column per checkpoint."""
    from sequela.analysis import check_validity
    from sequela.reports import dropped_warnings, footnotes, run_warnings, summarize
    from sequela.reports.formatting import NOT_SHOWN
    from sequela.results import in_study_order, open_store, read_manifest

    manifest = read_manifest(folder)
    suites = manifest.suites
    with open_store(folder) as store:
        measurements = in_study_order(store.measurements(), manifest.methods)
        records = store.edit_records()
    summary = summarize(check_validity(measurements, suites), suites)
    for title, rows in summary.trajectories():
        print_table(
            f"{title} (value ± standard error)",
            ["after edits", *(str(row.n_edits) for row in rows)],
            (
                [column.title, *(cell.text if cell else "–" for cell in (row.cells[i] for row in rows))]
                for i, column in enumerate(summary.columns)
            ),
            first_width=24,
        )
    if summary.rows:
        for line in footnotes(summary):
            print_line(line)
        cells = [cell for row in summary.rows for cell in row.cells if cell]
        hidden = any(cell.text.startswith(NOT_SHOWN) for cell in cells)
        reasons = ", and the reasons for n/a" if hidden else ""
        print_line(f"Sample sizes{reasons}: sequela results {folder} --all")
    for plugin in manifest.plugins:
        print_line(f"The {plugin.noun} {plugin.name} is from {plugin.distribution} {plugin.version}.")
    for warning in (*run_warnings(measurements, suites), *dropped_warnings(records)):
        print_line(warning, style="yellow")
