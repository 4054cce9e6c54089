"""`sequela evaluate`: evaluation of one model, with or without saved edits."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from sequela.cli import options
from sequela.cli.console import print_json, print_table, standard_error
from sequela.cli.progress import shown_progress
from sequela.core.errors import BadInputError

COLUMNS = (
    *("suite", "task", "metric", "protocol", "value", "± se", "n"),
    *("not finite", "too long", "failed", "note"),
)


class Template(str, Enum):
    """The template of evaluation prompts."""

    NONE = "none"
    CHAT = "chat"


def evaluate(
    model: options.ModelArgument = options.DEFAULT_MODEL,
    suite: Annotated[
        list[str] | None,
        typer.Option(
            "--suite",
            "-s",
            help="A suite (see `sequela tasks`), or lm_eval:NAME for a task of lm-evaluation-harness. Can be "
            "repeated (default: builtin and perplexity).",
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="The number of items per task, from the first (default: all).")
    ] = None,
    delta: Annotated[Path | None, typer.Option("--delta", help="A folder with saved edits to apply.")] = None,
    template: Annotated[
        Template, typer.Option(help="Use plain prompts (none), or the model's chat template (chat).")
    ] = Template.NONE,
    trust_remote_code: Annotated[
        bool,
        typer.Option(
            "--trust-remote-code",
            help="Allow lm_eval tasks to run Python code that doesn't come with lm-evaluation-harness.",
        ),
    ] = False,
    confirm_run_unsafe_code: Annotated[
        bool,
        typer.Option(
            "--confirm-run-unsafe-code",
            help="Allow lm_eval tasks such as humaneval to run code that the model writes.",
        ),
    ] = False,
    chat_template_args: options.ChatTemplateArgs = None,
    think_end_token: options.ThinkEndToken = None,
    max_thinking_tokens: options.MaxThinkingTokens = None,
    device: options.Device = None,
    device_map: options.DeviceMap = None,
    precision: options.Precision = "float32",
    engine: Annotated[
        str, typer.Option(help="The inference engine: torch, or vllm if installed; see `sequela models`.")
    ] = "torch",
    memory: options.Memory = None,
    as_json: options.Json = False,
) -> None:
    """Evaluate a model on suites of tasks, with or without saved edits."""
    from sequela.evaluation.registry import DEFAULT_SUITES, check_suites
    from sequela.inference.memory_limit import check_memory_limit
    from sequela.inference.registry import DEFAULT_ENGINE, ENGINE_REGISTRY
    from sequela.models.names import check_model_name

    names = tuple(suite) if suite else DEFAULT_SUITES
    allowed = {"trust_remote_code": trust_remote_code, "confirm_run_unsafe_code": confirm_run_unsafe_code}
    further = {key: value for key, value in allowed.items() if value}
    if delta is not None and not delta.is_dir():
        raise BadInputError(f"{delta} holds no saved edits: there is no such folder.")
    check_model_name(model)
    check_suites(names, further if limit is None else {**further, "limit": limit})
    ENGINE_REGISTRY.get(engine)
    if engine == DEFAULT_ENGINE:
        with options.memory_limit_set_by("--memory"):
            check_memory_limit(memory, [model], precision)
    asked = options.template_settings(
        template.value, chat_template_args, think_end_token, max_thinking_tokens
    )
    # The imports below take several seconds.
    from sequela.api import Model
    from sequela.edited import EditedModel
    from sequela.edited.chat_template import chat_templates, template_labels
    from sequela.editors.storage import load_saved_edits, read_description
    from sequela.evaluation.registry import make_suites
    from sequela.inference import open_engine
    from sequela.models import load_model

    suites = make_suites(names, limit, **further)
    for one in suites:
        _ = one.version  # missing data is reported before the model is loaded
    if delta is not None:
        read_description(delta)  # invalid saved edits are reported before the model is loaded
    with options.memory_limit_set_by("--memory"), shown_progress(standard_error()) as progress:
        base = load_model(model, device=device, device_map=device_map, dtype=precision, progress=progress)
        edited = load_saved_edits(delta, base).on(base) if delta else EditedModel(base)
        with open_engine(engine, base, memory) as running:
            chats = chat_templates(base, asked)
            labels = template_labels(chats) if chats else {}
            results = Model(edited, running).evaluate(suites, **asked.model_dump(), progress=progress)
    if as_json:
        print_json([{**result.model_dump(mode="json", exclude={"items"}), **labels} for result in results])
        return
    print_table(
        f"{base.name}{f' with {delta}' if delta else ''}",
        COLUMNS,
        (
            [
                one.suite,
                one.task,
                one.metric,
                one.protocol,
                "-" if one.value is None else f"{one.value:.4g}",
                "-" if one.stderr is None else f"{one.stderr:.3g}",
                one.n,
                one.n_nonfinite,
                one.n_too_long,
                one.n_failed,
                one.note,
            ]
            for one in results
        ),
    )
