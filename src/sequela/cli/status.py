"""`sequela status`, `pause`, `unpause` and `cancel`: a run that goes on, from another shell."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Annotated

import typer

from sequela.cli import options
from sequela.cli.console import print_json, print_line

if TYPE_CHECKING:
    from sequela.studies.run_state import RunState


def status(run: options.Run, as_json: options.Json = False) -> None:
    """Show what a run is doing: its processes, workers, progress and failed tasks."""
    from sequela.studies.run_state import state_of

    state = state_of(run)
    if as_json:
        print_json(state.model_dump(mode="json"))
        return
    for line in _lines(state):
        print_line(line)


def pause(run: options.Run) -> None:
    """Pause a run: tasks that are running end, and no others start. Its processes stay."""
    from sequela.studies.run_requests import RunRequests
    from sequela.studies.run_state import check_running

    check_running(run, "paused")
    RunRequests(run).pause()
    print_line(f"Paused within a second. Continue with: sequela unpause {run}")


def unpause(run: options.Run) -> None:
    """Continue a paused run."""
    from sequela.studies.run_requests import RunRequests
    from sequela.studies.run_state import check_running

    check_running(run, "continued")
    RunRequests(run).unpause()
    print_line("Continues within a second.")


def cancel(
    run: options.Run,
    model: Annotated[str, typer.Option(help="The model, as the study names it.", show_default=False)],
    editor: Annotated[
        str,
        typer.Option(
            "--editor", "-e", help="The method; with its variant, only that one.", show_default=False
        ),
    ],
    sample: Annotated[
        int | None, typer.Option(help="The sample of edits (default: all).", show_default=False)
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="The shuffle seed (default: all).", show_default=False)
    ] = None,
) -> None:
    """Cancel a cell of a run that goes on: what hasn't been started of it is left out.

    Its results so far stay. The rest of the run goes on, and ends with exit status 0; `sequela run` measures
    the rest of the cell later.
    """
    from sequela.studies.run_requests import RunRequests
    from sequela.studies.run_state import check_running, known_cell

    check_running(run, "changed")
    cell = known_cell(run, model, editor, sample, seed)
    RunRequests(run).cancel(cell)
    print_line(f"Canceled within a second: {cell}. Tasks that are running end by themselves.")


def _lines(state: RunState) -> list[str]:
    """Returns the status of a run in lines."""
    process = state.process
    lines = [f"{state.folder}: {state.status}{f' ({state.reason})' if state.reason else ''}"]
    if process is not None:
        lines.append(f"process {process.pid} on {process.host}, since {_local(process.since)}")
    lines.append(f"{state.evaluations_done} of {state.evaluations_planned} evaluations are done")
    if state.live is not None:
        live = state.live
        left = "" if live.seconds_left is None else f", about {_duration(live.seconds_left)} left"
        lines.append(f"{live.steps_done} of {live.steps_planned} steps are done{left}")
        lines += [
            f"{one.worker}: {one.task}, for {_duration(_seconds_since(one.since))}" for one in live.running
        ]
        lines += [
            f"joined: process {one.pid} on {one.host}, since {_local(one.since)}" for one in live.joined
        ]
        lines += [f"failed: {one}" for one in live.failed]
        lines += [f"canceled: {one}" for one in live.canceled]
    if state.resume:
        lines.append(f"Resume with: {state.resume}")
    return lines


def _local(time: datetime) -> str:
    return time.astimezone().isoformat(" ", "seconds")


def _seconds_since(time: datetime) -> float:
    return max(0.0, (datetime.now(timezone.utc) - time).total_seconds())


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
