"""`sequela stats`: key statistics, collected ahead of time."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.markup import escape

from sequela.cli.console import (
    DEFAULT_MODEL,
    DeviceOption,
    JsonOption,
    PrecisionOption,
    print_json,
    standard_error,
    standard_output,
)
from sequela.cli.progress import shown_progress


def stats(
    model: Annotated[str, typer.Argument(help="The model.")] = DEFAULT_MODEL,
    source: Annotated[
        str, typer.Option(help="The text: self, wikitext2, a text file, or hub:<data set>[:<column>].")
    ] = "self",
    tokens: Annotated[
        int | None, typer.Option(min=2, help="The number of tokens (default: 10 for each key dimension).")
    ] = None,
    layers: Annotated[str, typer.Option(help="Which layers: all, or like 3,5-8.")] = "all",
    device: DeviceOption = None,
    precision: PrecisionOption = "float32",
    as_json: JsonOption = False,
) -> None:
    """Compute the key covariances of a model's layers and store them for later edits."""
    from sequela.models import load_model
    from sequela.statistics import CorpusSpec, Statistics

    with shown_progress(standard_error()) as progress:
        loaded = load_model(model, device=device, dtype=precision, progress=progress)
        chosen = parse_layers(layers, loaded.n_layers)
        loaded.check_layers(chosen)
        statistics = Statistics(loaded, CorpusSpec(source=source, n_tokens=tokens), progress=progress)
        missing = statistics.missing(chosen)
        started = time.perf_counter()
        statistics.prepare(chosen)
        seconds = time.perf_counter() - started
    moments = [statistics.key_covariance(layer) for layer in chosen]
    answer = {
        "model": loaded.name,
        "fingerprint": loaded.fingerprint,
        "folder": str(statistics.folder),
        "corpus": moments[0].corpus,
        "n_tokens": moments[0].n_tokens,
        "layers": list(chosen),
        "collected_now": missing,
        "seconds": seconds,
    }
    if as_json:
        print_json(answer)
        return
    summary = (
        f"{len(missing)} of {len(chosen)} layers collected in {seconds:.0f} s"
        if missing
        else f"all {len(chosen)} layers were kept already"
    )
    text = (
        f"Key statistics of {loaded.name} over {answer['n_tokens']} tokens ({answer['corpus']}): {summary}.\n"
        f"Folder: {answer['folder']}"
    )
    standard_output().print(escape(text), highlight=False, soft_wrap=True)


def parse_layers(text: str, n_layers: int) -> tuple[int, ...]:
    """Reads a choice of layers such as `all` or `3,5-8`.

    Raises:
        BadInputError: It is neither.
    """
    from sequela.core.errors import BadInputError

    if text == "all":
        return tuple(range(n_layers))
    layers: set[int] = set()
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if not first.isdigit() or not (last or first).isdigit():
            raise BadInputError(f"--layers {text!r} can't be read.", hint="Write all, or a list like 3,5-8.")
        span = range(int(first), int(last or first) + 1)
        if not span:
            raise BadInputError(f"--layers {text!r} can't be read: {part.strip()} goes downward.")
        layers.update(span)
    return tuple(sorted(layers))
