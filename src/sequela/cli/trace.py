"""`sequela trace`: causal tracing, which locates facts in a model."""

from __future__ import annotations

import enum
import math
from pathlib import Path
from typing import Annotated

import typer

from sequela.cli import options
from sequela.cli.console import print_json, print_line, print_table, standard_error
from sequela.cli.progress import shown_progress
from sequela.core.numbers import MAX_SEED, MIN_SEED


class Kind(str, enum.Enum):
    """The kind of state that is restored; see `TraceSettings`."""

    BLOCK = "block"
    VALUE = "value"
    ATTENTION = "attention"


def trace(
    model: options.ModelArgument = options.DEFAULT_MODEL,
    edits: options.Edits = "builtin",
    count: Annotated[
        int, typer.Option(min=1, help="The number of edits whose prompts are traced, from the first.")
    ] = 5,
    kind: Annotated[
        Kind,
        typer.Option(
            help="The states to restore: outputs of whole blocks (block), of MLPs (value), or of attention."
        ),
    ] = Kind.BLOCK,
    window: Annotated[
        int, typer.Option(min=1, help="The number of layers restored at once, for value and attention.")
    ] = 10,
    samples: Annotated[int, typer.Option(min=1, max=10_000, help="The number of noise samples.")] = 5,
    seed: Annotated[int, typer.Option(min=MIN_SEED, max=MAX_SEED, help="The seed of the noise.")] = 0,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file for a heat map: .html, .svg or .png.")
    ] = None,
    device: options.Device = None,
    device_map: options.DeviceMap = None,
    precision: options.Precision = "float32",
    as_json: options.Json = False,
) -> None:
    """Locate facts in a model by causal tracing: corrupt the subject, then restore one state at a time."""
    from sequela.core.paths import ensure_writable_file
    from sequela.core.progress import tracked
    from sequela.edits import load_edits
    from sequela.models import load_model, tokenize_prompt
    from sequela.tracing import PLACES, TraceSettings, causal_trace, profile_of
    from sequela.tracing.heat_map import check_format, write_heat_map

    if output is not None:
        check_format(output)
        ensure_writable_file(output)
    chosen = load_edits(edits, limit=count)
    settings = TraceSettings(kind=kind.value, window=window, samples=samples, seed=seed)
    with shown_progress(standard_error()) as progress:
        loaded = load_model(model, device=device, device_map=device_map, dtype=precision, progress=progress)
        prompts = [tokenize_prompt(loaded.tokenizer, edit.prompt, edit.subject) for edit in chosen]
        traces = [
            causal_trace(loaded, prompt, settings)
            for prompt in tracked(prompts, progress, "tracing", len(prompts))
        ]
    profile = profile_of(traces)
    if output is not None:
        write_heat_map(profile, f"{loaded.name}: {kind.value} restored", output)
    if as_json:
        print_json(
            {
                "model": loaded.name,
                "fingerprint": loaded.fingerprint,
                "settings": settings.model_dump(mode="json"),
                "prompts": [
                    {
                        "edit": edit.id,
                        "tokens": list(one.tokens),
                        "subject": list(one.subject),
                        "answer": one.answer,
                        "clean": one.clean,
                        "corrupted": one.corrupted,
                        "restored": one.restored.tolist(),
                    }
                    for edit, one in zip(chosen, traces, strict=True)
                ],
                "places": list(PLACES),
                "gain": profile.restored.tolist(),
                "strongest_layer": profile.strongest_layer,
            }
        )
        return
    shown = range(0, loaded.n_layers, max(1, loaded.n_layers // 10))
    print_table(
        f"{loaded.name}: gain in probability from restoring {kind.value} "
        f"({profile.n} prompts, {profile.clean:.2f} clean, {profile.corrupted:.2f} corrupted)",
        ["layer", *(str(layer) for layer in shown)],
        (
            [position, *(f"{gains[layer]:.2f}" for layer in shown)]
            for position, gains in zip(PLACES, profile.restored.tolist(), strict=True)
            if not all(map(math.isnan, gains))
        ),
    )
    print_line(f"At the subject's last token, layer {profile.strongest_layer} has the largest gain.")
    if output is not None:
        print_line(f"Heat map: {output}")
