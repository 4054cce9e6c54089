"""`sequela evaluate`: suites on one model, edited or not."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from sequela.cli.console import (
    DEFAULT_MODEL,
    DeviceOption,
    JsonOption,
    MemoryOption,
    PrecisionOption,
    print_json,
    print_table,
    standard_error,
)
from sequela.cli.progress import shown_progress

COLUMNS = (
    *("suite", "task", "metric", "protocol", "value", "± se", "n"),
    *("not finite", "too long", "failed", "note"),
)


class Template(str, Enum):
    """How questions are asked."""

    NONE = "none"
    CHAT = "chat"


def evaluate(
    model: Annotated[str, typer.Argument(help="The model.")] = DEFAULT_MODEL,
    suite: Annotated[
        list[str] | None,
        typer.Option(
            "--suite",
            "-s",
            help="A suite (see `sequela tasks`), or lm_eval:NAME for any task of lm-evaluation-harness; can "
            "be repeated.",
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Items per task, from the first (default: all).")
    ] = None,
    delta: Annotated[Path | None, typer.Option("--delta", help="A folder of saved edits to apply.")] = None,
    template: Annotated[
        Template, typer.Option(help="Ask in the model's chat template, or in plain text.")
    ] = Template.NONE,
    device: DeviceOption = None,
    precision: PrecisionOption = "float32",
    engine: Annotated[
        str, typer.Option(help="The engine that runs requests: torch, or vllm where installed.")
    ] = "torch",
    memory: MemoryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Evaluate a model on suites of tasks, with or without saved edits."""
    from sequela.api import DEFAULT_SUITES, Model
    from sequela.edited import EditedModel
    from sequela.editors.storage import load_saved_edits, read_description
    from sequela.evaluation.registry import make_suites
    from sequela.inference import open_engine
    from sequela.models import load_model

    suites = make_suites(suite or DEFAULT_SUITES, limit)
    for one in suites:
        _ = one.version  # data that can't be had are reported before the model is loaded
    if delta is not None:
        read_description(delta)  # what is wrong with it is told before the model is loaded
    with shown_progress(standard_error()) as progress:
        base = load_model(model, device=device, dtype=precision, progress=progress)
        edited = load_saved_edits(delta, base).on(base) if delta else EditedModel(base)
        with open_engine(engine, base, memory) as running:
            found = Model(edited, running).evaluate(suites, template=template.value, progress=progress)
    if as_json:
        print_json([result.model_dump(mode="json", exclude={"items"}) for result in found])
        return
    print_table(
        f"{base.name}{f' with {delta}' if delta else ''}",
        COLUMNS,
        (
            [
                f.suite,
                f.task,
                f.metric,
                f.protocol,
                "-" if f.value is None else f"{f.value:.4g}",
                "-" if f.stderr is None else f"{f.stderr:.3g}",
                f.n,
                f.n_nonfinite,
                f.n_too_long,
                f.n_failed,
                f.note,
            ]
            for f in found
        ),
    )
