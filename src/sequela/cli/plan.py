"""`sequela plan`: what a study will take, before it is run."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sequela.cli import options
from sequela.cli.console import print_json, print_line, print_table, standard_error
from sequela.cli.progress import shown_progress
from sequela.core.errors import BadInputError
from sequela.core.hardware_names import check_dtype_name
from sequela.core.wording import number_of, size_in_words

if TYPE_CHECKING:
    from sequela.planning import Estimate, ModelEstimate, Row
    from sequela.studies import Study

LIST = "list"
"""The name in place of a device profile that lists them."""


def plan(
    study: Annotated[Path | None, typer.Argument(help="The study file (YAML).", show_default=False)] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            parser=check_dtype_name,
            metavar="TYPE",
            help="The data type of the weights, which overrides the study's.",
        ),
    ] = None,
    memory: options.Memory = None,
    calibrate: Annotated[
        bool | None,
        typer.Option(
            "--calibrate/--no-calibration",
            help="Measure this machine now, or use no measurement (default: an earlier one, if any).",
            show_default=False,
        ),
    ] = None,
    device_profile: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="The device that the study will run on: `list` shows the known ones; or a YAML file.",
        ),
    ] = None,
    check_store: Annotated[
        bool,
        typer.Option(
            "--check-store",
            help="Load models whose fingerprint isn't known, to see what the store has of them.",
        ),
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Estimate what a study will take: tokens, edits, time, memory, disk, and what the store already has.

    Nothing is run, and no weights are read unless `--calibrate` or `--check-store` asks for it.
    """
    if device_profile == LIST:
        _list_profiles(as_json)
        return
    if study is None:
        raise BadInputError("No study is named.", hint="Write `sequela plan STUDY.yaml`.")
    if device_profile is not None and calibrate:
        raise BadInputError(
            "--calibrate measures this machine, --device-profile describes another one.",
            hint="Give one of them.",
        )
    from sequela.studies import read_study

    overrides = {"dtype": precision, "memory": memory}
    given = {key: value for key, value in overrides.items() if value is not None}
    chosen = read_study(study).model_copy(update=given)
    show_plan(chosen, as_json, calibrate, device_profile, check_store)


def show_plan(
    study: Study,
    as_json: bool,
    calibrate: bool | None = None,
    device_profile: str | None = None,
    check_store: bool = False,
) -> None:
    """Estimates a study and prints the estimate.

    Args:
        study: The study.
        as_json: Whether to print JSON.
        calibrate: True to measure this machine, False to use no measurement, None to use an earlier one.
        device_profile: The name or file of a device profile.
        check_store: Whether to load models whose fingerprint isn't known.
    """
    from sequela.planning.device_profiles import device_profile as find_profile

    profile = None if device_profile is None else find_profile(device_profile)
    from sequela.planning import Options, estimate_study

    mode = {True: "again", False: "never", None: "if stored"}[calibrate]
    with shown_progress(standard_error()) as progress:
        estimate = estimate_study(
            study,
            progress,
            Options(calibrate=mode, profile=profile, check_store=check_store),  # type: ignore[arg-type]
        )
    if as_json:
        print_json(as_json_value(estimate))
    else:
        _print_page(estimate)


def as_json_value(estimate: Estimate) -> dict[str, Any]:
    """Returns an estimate as a JSON object; sizes are in bytes and times in seconds."""
    return {
        "study": estimate.name,
        "grid": {**asdict(estimate.grid), "n_applied": estimate.grid.n_applied},
        "device": estimate.device or None,
        "device_memory_bytes": estimate.device_memory,
        "store": estimate.store,
        "seconds_left": estimate.seconds,
        "setup_seconds": estimate.setup_seconds,
        "peak_memory_bytes": estimate.memory,
        "disk_bytes": estimate.disk.total,
        "n_tasks": len(estimate.tasks),
        "n_stored": sum(bool(task.stored) for task in estimate.tasks),
        "n_unknown": sum(task.stored is None for task in estimate.tasks),
        "models": [_model_value(model) for model in estimate.models],
        "tasks": [
            {
                "model": row.model,
                "kind": row.kind,
                "of": row.of,
                "what": row.what,
                "n": len(row.tasks),
                "n_stored": row.n_stored,
                "seconds": row.seconds,
                "seconds_left": row.seconds_left,
            }
            for row in estimate.rows()
        ],
    }


def _model_value(model: ModelEstimate) -> dict[str, Any]:
    return {
        "model": model.name,
        "parameters": model.n_parameters,
        "dtype": model.dtype,
        "times": model.basis,
        "tokens_are_estimated": not model.has_tokenizer,
        "load_seconds": model.load_seconds,
        "seconds_left": model.seconds,
        "gradient_steps": model.gradient_steps,
        "statistics_tokens": model.statistics_tokens,
        "memory_bytes": {**asdict(model.memory), "total": model.memory.total, "model": model.memory.model},
        "disk_bytes": {**asdict(model.disk), "total": model.disk.total},
        "suites": {
            name: {
                "items": work.n_items,
                "tokens_scored": work.scored_tokens,
                "prompt_tokens": work.prompt_tokens,
                "most_tokens_generated": work.most_generated_tokens,
            }
            for name, work in model.suites.items()
        },
        "notes": list(model.notes),
    }


def _print_page(estimate: Estimate) -> None:
    grid = estimate.grid
    samples = f"{number_of('sample', grid.n_samples)} x " if grid.n_samples > 1 else ""
    print_line(
        f"{estimate.name}: {number_of('model', len(grid.models))} x {number_of('method', len(grid.methods))} "
        f"({', '.join(grid.methods)}) x {samples}{number_of('order', grid.n_orders)}, measured after "
        f"{', '.join(map(str, grid.checkpoints))} edits"
    )
    print_line(
        f"{number_of('edit', grid.n_applied)} applied on {grid.n_trajectories} "
        f"{'trajectory' if grid.n_trajectories == 1 else 'trajectories'}, "
        f"{number_of('evaluation', grid.n_evaluations)}"
    )
    for model in estimate.models:
        about = "" if model.has_tokenizer else ", estimated"
        print_table(
            f"{model.name}: tokens of one evaluation{about}",
            ["suite", "items", "scored", "prompts", "generated, at most"],
            ([name, *(f"{value:,.0f}" for value in _tokens(work))] for name, work in model.suites.items()),
            first_width=24,
        )
    print_table(
        "Tasks",
        ["model", "task", "of", "number", "in the store", "each", "left"],
        (_task_row(row) for row in estimate.rows()),
    )
    for model in estimate.models:
        _print_model(model)
    unknown = [task for task in estimate.tasks if task.stored is None]
    stored = sum(bool(task.stored) for task in estimate.tasks)
    looked = f"; {len(unknown)} were not looked up" if unknown else ""
    print_line(f"In the store {estimate.store}: {stored} of {number_of('task', len(estimate.tasks))}{looked}")
    print_line(f"Disk: {size_in_words(round(estimate.disk.total))} {_disk_parts(estimate)}")
    print_line(f"Memory: {size_in_words(estimate.memory)} at most")
    needs = max((model.memory.model for model in estimate.models), default=0)
    if estimate.device_memory is not None and needs > estimate.device_memory:
        print_line(
            f"This is more than {estimate.device} has ({size_in_words(estimate.device_memory)}).",
            style="yellow",
        )
    print_line(f"Time: {duration(estimate.seconds)} with one worker", style="bold")


def _tokens(work: Any) -> tuple[float, ...]:
    return work.n_items, work.scored_tokens, work.prompt_tokens, work.most_generated_tokens


def _task_row(row: Row) -> list[str]:
    unknown = any(task.stored is None for task in row.tasks)
    return [
        row.model,
        f"{row.kind}: {row.what}",
        row.of,
        str(len(row.tasks)),
        "?" if unknown else "–" if row.kind == "prepare" else str(row.n_stored),
        duration(row.seconds / len(row.tasks)),
        duration(row.seconds_left),
    ]


def _print_model(model: ModelEstimate) -> None:
    memory = model.memory
    parts = {
        "program": memory.program,
        "weights": memory.weights,
        "copies of them": memory.copies,
        "requests": memory.requests,
        "hidden states": memory.states,
        "methods": memory.methods,
    }
    listed = ", ".join(f"{size_in_words(size)} {name}" for name, size in parts.items() if size)
    print_line(
        f"{model.name}: {model.n_parameters:,} weights in {model.dtype}; {duration(model.seconds)} "
        f"({model.basis}); {size_in_words(memory.total)} at most ({listed})"
    )
    steps = f"{model.gradient_steps:,} gradient steps at most" if model.gradient_steps else ""
    tokens = f"{model.statistics_tokens:,} tokens for key statistics" if model.statistics_tokens else ""
    if steps or tokens:
        print_line(f"  {', '.join(filter(None, (steps, tokens)))}")
    for note in model.notes:
        print_line(f"  {note}", style="yellow")


def _disk_parts(estimate: Estimate) -> str:
    disk = estimate.disk
    parts = {
        "checkpoints": disk.checkpoints,
        "items": disk.items,
        "statistics": disk.statistics,
        "documents": disk.documents,
    }
    listed = ", ".join(f"{size_in_words(round(size))} {name}" for name, size in parts.items() if size)
    without = f"; without the checkpoints of {', '.join(disk.unknown)}" if disk.unknown else ""
    return f"({listed}{without})"


def _list_profiles(as_json: bool) -> None:
    from sequela.planning.device_profiles import PROFILES

    if as_json:
        print_json([profile.model_dump(mode="json") for profile in PROFILES.values()])
        return
    print_table(
        "Device profiles (peaks from data sheets; estimates from them are untried)",
        ["name", "TFLOP/s fp32", "bf16", "GB/s", "memory", "source"],
        (
            [
                profile.name,
                f"{profile.flops['float32'] / 1e12:g}",
                f"{profile.flops['bfloat16'] / 1e12:g}",
                f"{profile.bandwidth / 1e9:g}",
                size_in_words(profile.memory),
                profile.source,
            ]
            for profile in PROFILES.values()
        ),
    )


def duration(seconds: float) -> str:
    """Formats an estimated duration: `0.4 s`, `12 s`, `7 min`, `2.5 h`, `3.1 days`."""
    for limit, unit, size in _UNITS:
        if seconds < limit:
            value = seconds / size
            return f"{value:.0f} {unit}" if value >= 10 else f"{value:.1f} {unit}"
    return f"{seconds / 86400:.1f} days"


_UNITS: tuple[tuple[float, str, float], ...] = ((120, "s", 1), (7200, "min", 60), (172800, "h", 3600))
"""The units of durations, each with the number of seconds from which on the next is used."""
