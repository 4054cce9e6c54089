"""Options and arguments that several commands share, and the parsing of their values."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sequela.core.errors import BadInputError
from sequela.core.numbers import MAX_TOKENS

DEFAULT_MODEL = "smollm2-135m-instruct"
"""The model of commands that are given none."""


def read_size(text: str) -> int:
    """Returns the number of bytes of a size such as `4GiB`, `3.5G` or `4096`.

    Raises:
        BadInputError: The text is not a size.
    """
    from pydantic import ByteSize, TypeAdapter, ValidationError

    try:
        return int(TypeAdapter(ByteSize).validate_python(text))
    except (ValidationError, ValueError, OverflowError) as error:  # `inf` overflows; `nan` has no whole part
        raise BadInputError(
            f"Invalid size {text!r}.", hint="Write it as 4GiB, as 3.5G (powers of 1,000) or in bytes."
        ) from error


def read_settings(path: Path | None) -> dict[str, Any]:
    """Returns a method's settings from a YAML or JSON file; empty if there is no file.

    Raises:
        BadInputError: The file can't be read, or has no table of settings.
    """
    if path is None:
        return {}
    from sequela.core.yaml_files import read_yaml

    try:
        content = read_yaml(path).content
    except BadInputError as error:
        raise BadInputError(f"The settings file {error.message}", hint=error.hint) from error
    if not isinstance(content, dict):
        raise BadInputError(f"The settings file {path} must hold a table of names and values.")
    return content


_MODEL_HELP = "A model: a short name (see `sequela models`), hub id, folder or GGUF file."

ModelArgument = Annotated[str, typer.Argument(help=_MODEL_HELP)]
Model = Annotated[str, typer.Option("--model", "-m", help=_MODEL_HELP)]
Run = Annotated[Path, typer.Argument(help="The folder of the run.", show_default=False)]
Editor = Annotated[str, typer.Option("--editor", "-e", help="The editing method; see `sequela methods`.")]
EDITS_HELP = "A source of edits (see `sequela edits`), or a .jsonl file."
Edits = Annotated[str, typer.Option("--edits", help=EDITS_HELP)]
Hparams = Annotated[
    Path | None, typer.Option("--hparams", help="A YAML or JSON file with hyper-parameters of the method.")
]
BatchSize = Annotated[int, typer.Option(min=1, help="The number of edits per batch.")]
Statistics = Annotated[
    str,
    typer.Option(
        help="The text for key statistics: self (sampled from the model), wikitext2, a text file, or "
        "hub:<data set>."
    ),
]
Tokens = Annotated[
    int | None,
    typer.Option(
        min=2, max=MAX_TOKENS, help="The number of tokens for key statistics (default: 10 per key dimension)."
    ),
]
Device = Annotated[
    str | None, typer.Option(help="The device: cuda, mps or cpu (default: the best available).")
]
Precision = Annotated[
    str,
    typer.Option(
        help="The data type of the weights: float32, bfloat16, float16, or auto (bfloat16 where the hardware "
        "supports it)."
    ),
]
Memory = Annotated[
    int | None,
    typer.Option(
        parser=read_size,
        metavar="SIZE",
        help="The memory limit of the process, such as 4GiB or 3.5G (default: none).",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
