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
            help="A suite; see `sequela tasks`. `lm_eval:NAME` is any task of lm-evaluation-harness. "
            "Can be repeated.",
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Items per task, the first ones; all by default.")
    ] = None,
    delta: Annotated[Path | None, typer.Option("--delta", help="Saved edits to put in force.")] = None,
    template: Annotated[
        Template, typer.Option(help="How questions are asked: plainly, or in the model's chat template.")
    ] = Template.NONE,
    device: DeviceOption = None,
    precision: PrecisionOption = "float32",
    engine: Annotated[
        str, typer.Option(help="What runs the requests: torch, or vllm where it is installed.")
    ] = "torch",
    memory: MemoryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a model on suites of tasks, with or without a saved change of weights."""
    from sequela.edited import EditedModel
    from sequela.edited.chat_template import ChatTemplate
    from sequela.editors.storage import load_edits, read_description
    from sequela.evaluation.hit_rate import evaluate_counting
    from sequela.evaluation.registry import make_suite, option_names
    from sequela.inference import open_engine
    from sequela.models import load_model

    suites = [
        make_suite(name, **({"limit": limit} if limit and "limit" in option_names(name) else {}))
        for name in suite or ["builtin", "perplexity"]
    ]
    for one in suites:
        _ = one.version  # data that can't be had are reported before the model is loaded
    if delta is not None:
        read_description(delta)  # what is wrong with it is told before the model is loaded
    with shown_progress(standard_error()) as progress:
        base = load_model(model, device=device, dtype=precision, progress=progress)
        routers = (ChatTemplate.of(base),) if template is Template.CHAT else ()
        edited = load_edits(delta, base).on(base, routers) if delta else EditedModel(base, routers=routers)
        with open_engine(engine, base, memory) as running:
            found = [
                finding for one in suites for finding in evaluate_counting(one, edited, running, progress)
            ]
    if as_json:
        print_json([finding.model_dump(mode="json", exclude={"items"}) for finding in found])
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
                f.n_refused,
                f.n_failed,
                f.note,
            ]
            for f in found
        ),
    )
