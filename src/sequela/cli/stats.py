"""`sequela stats`: collection of key statistics ahead of editing."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from sequela.cli import options
from sequela.cli.console import print_json, print_line, standard_error
from sequela.cli.progress import shown_progress


def stats(
    model: options.ModelArgument = options.DEFAULT_MODEL,
    source: Annotated[
        str,
        typer.Option(
            help="The text: self (sampled from the model), wikitext2, a text file, or "
            "hub:<data set>[:<column>]."
        ),
    ] = "self",
    tokens: options.Tokens = None,
    layers: Annotated[str, typer.Option(help="The layers: all, or a list such as 3,5-8.")] = "all",
    device: options.Device = None,
    device_map: options.DeviceMap = None,
    precision: options.Precision = "float32",
    as_json: options.Json = False,
) -> None:
    """Compute the key covariances of a model's layers and store them for later edits."""
    from sequela.models import load_model
    from sequela.statistics import CorpusSpec, Statistics

    with shown_progress(standard_error()) as progress:
        loaded = load_model(model, device=device, device_map=device_map, dtype=precision, progress=progress)
        chosen = parse_layers(layers, loaded.n_layers)
        loaded.check_layers(chosen)
        statistics = Statistics(loaded, CorpusSpec(source=source, n_tokens=tokens), progress=progress)
        started = time.perf_counter()
        missing = statistics.prepare(chosen)
        seconds = time.perf_counter() - started
    covariances = [statistics.key_covariance(layer) for layer in chosen]
    answer = {
        "model": loaded.name,
        "fingerprint": loaded.fingerprint,
        "folder": statistics.store.location,
        "corpus": covariances[0].corpus,
        "n_tokens": covariances[0].n_tokens,
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
        else f"all {len(chosen)} layers were stored already"
    )
    text = (
        f"Key statistics of {loaded.name} over {answer['n_tokens']} tokens ({answer['corpus']}): {summary}.\n"
        f"Store: {answer['folder']}"
    )
    print_line(text)


def parse_layers(text: str, n_layers: int) -> tuple[int, ...]:
    """Returns the layers that a text such as `all` or `3,5-8` selects.

    Raises:
        BadInputError: The text is neither `all` nor a list of layers and ranges.
    """
    from sequela.core.errors import BadInputError

    if text == "all":
        return tuple(range(n_layers))
    layers: set[int] = set()
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if not first.isdigit() or not (last or first).isdigit():
            raise BadInputError(
                f"Invalid value {text!r} of --layers.", hint="Write all, or a list like 3,5-8."
            )
        span = range(int(first), int(last or first) + 1)
        if not span:
            raise BadInputError(
                f"Invalid value {text!r} of --layers: the range {part.strip()} is empty.",
                hint="Write the lower layer first.",
            )
        layers.update(span)
    return tuple(sorted(layers))
