"""`sequela bisect`: the edit at which an alarm first rings."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from sequela.cli.console import JsonOption, print_json, print_table, standard_error
from sequela.cli.progress import shown_progress
from sequela.cli.results import RunArgument


def bisect(
    run: RunArgument,
    rule: Annotated[
        str | None,
        typer.Option(
            help="The health rule: a metric, > and a number, with x for a multiple; by default that "
            "of a collapse."
        ),
    ] = None,
    editor: Annotated[str | None, typer.Option(help="Only trajectories of this method.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Search a run for the first edit that triggers a health rule, by bisection between checkpoints."""
    from sequela.evaluation.monitor_rules import COLLAPSE
    from sequela.studies.bisect import bisect_run

    rule = rule or COLLAPSE
    with shown_progress(standard_error()) as progress:
        found = bisect_run(run, rule, editor, progress)
    if as_json:
        print_json(
            [
                {**asdict(one), "record": None if one.record is None else one.record.model_dump(mode="json")}
                for one in found
            ]
        )
        return
    print_table(
        f"Where {rule!r} first rings",
        ["method", "model", "order", "edit", "before", "after", "unedited", "readings", "the edit"],
        (
            [
                one.label,
                one.model,
                one.order_seed,
                "never" if one.edit is None else one.edit,
                _number(one.before),
                _number(one.after),
                _number(one.unedited),
                one.n_readings,
                "" if one.record is None else f"{one.record.prompt} → {one.record.target_new}",
            ]
            for one in found
        ),
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.4g}"
