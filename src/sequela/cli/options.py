"""Options and arguments that several commands share, and the parsing of their values."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sequela.core.errors import BadInputError
from sequela.core.sizes import read_size

DEFAULT_MODEL = "smollm2-135m-instruct"
"""The model of commands that are given none."""


def read_settings(path: Path | None) -> dict[str, Any]:
    """Returns a method's settings from a YAML or JSON file; empty if there is no file.

    Raises:
        BadInputError: The file can't be read, or has no table of settings.
    """
    if path is None:
        return {}
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInputError(f"The settings file {path} can't be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise BadInputError(f"The settings file {path} is not UTF-8 text.") from error
    except yaml.YAMLError as error:
        raise BadInputError(f"The settings file {path} is neither YAML nor JSON: {error}") from error
    if not isinstance(content, dict):
        raise BadInputError(f"The settings file {path} must hold a table of names and values.")
    return content


_MODEL_HELP = "A model: an alias (see `sequela models`), hub id, folder or GGUF file."

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
    typer.Option(min=2, help="The number of tokens for key statistics (default: 10 per key dimension)."),
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
