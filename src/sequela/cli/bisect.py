"""`sequela bisect`: the first edit that triggers a health rule."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from sequela.cli import options
from sequela.cli.console import print_json, print_table, standard_error
from sequela.cli.progress import shown_progress

if TYPE_CHECKING:
    from sequela.studies.bisect import FirstTrigger


def bisect(
    run: options.Run,
    rule: Annotated[
        str | None,
        typer.Option(
            help="The health rule, such as 'perplexity > 3x' (a multiple of the unedited model's value) or "
            "'kl_to_base > 0.5' (default: the rule for a collapse)."
        ),
    ] = None,
    editor: Annotated[str | None, typer.Option(help="Search only the trajectories of this method.")] = None,
    as_json: options.Json = False,
) -> None:
    """Search a run for the first edit that triggers a health rule, by bisection between checkpoints."""
    from sequela.evaluation.monitor_rules import COLLAPSE
    from sequela.studies.bisect import bisect_run

    rule = rule or COLLAPSE
    with shown_progress(standard_error()) as progress:
        triggers = bisect_run(run, rule, editor, progress)
    if as_json:
        print_json(
            [
                {**asdict(one), "record": None if one.record is None else one.record.model_dump(mode="json")}
                for one in triggers
            ]
        )
        return
    sampled = any(one.edit_sample is not None for one in triggers)
    print_table(
        f"First edits that trigger {rule!r}",
        [
            "method",
            "model",
            *(["sample"] if sampled else []),
            "seed",
            "edit",
            "before",
            "after",
            "unedited",
            "measurements",
            "prompt and target",
        ],
        (
            [
                one.label,
                one.model,
                *([one.edit_sample] if sampled else []),
                one.order_seed,
                _edit_of(one),
                _number(one.before),
                _number(one.after),
                _number(one.unedited),
                one.n_readings,
                "" if one.record is None else f"{one.record.prompt} → {one.record.target_new}",
            ]
            for one in triggers
        ),
    )


def _edit_of(one: FirstTrigger) -> str:
    if one.edit is None:
        return "never"
    return str(one.edit) if one.edit else "holds before any edit"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.4g}"
