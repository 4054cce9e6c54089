"""Options and arguments that several commands share, and the parsing of their values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sequela.core.device_maps import check_device_map
from sequela.core.errors import BadInputError
from sequela.core.hardware_names import check_device_name, check_dtype_name
from sequela.core.numbers import MAX_TOKENS
from sequela.core.sizes import read_size
from sequela.core.text_files import parse_json
from sequela.core.visible_text import shortened

if TYPE_CHECKING:
    from sequela.edited.template_settings import TemplateSettings

DEFAULT_MODEL = "smollm2-135m-instruct"
"""The model of commands that are given none."""


@contextmanager
def memory_limit_set_by(setting: str) -> Iterator[None]:
    """Names a setting in the error about a memory limit that is too low.

    Args:
        setting: The option or the key that has the limit.

    Raises:
        MemoryLimitError: The block raised it.
    """
    from sequela.inference.memory_limit import MemoryLimitError

    try:
        yield
    except MemoryLimitError as error:
        raise error.naming(setting) from error


def read_template_args(pairs: list[str] | None) -> dict[str, Any]:
    """Returns the arguments of a chat template from `name=value`, or from JSON objects.

    Raises:
        BadInputError: A text is neither, or a name occurs twice.
    """
    arguments: dict[str, Any] = {}
    for pair in pairs or ():
        for name, value in _template_args_in(pair).items():
            if name in arguments:
                raise BadInputError(f"The template argument {name!r} is given twice.")
            arguments[name] = value
    return arguments


def template_settings(
    template: str, args: list[str] | None, think_end_token: str | None, max_thinking_tokens: int | None
) -> TemplateSettings:
    """Returns the settings of a template from the options of a command.

    Raises:
        BadInputError: An option is invalid.
    """
    from sequela.edited.template_settings import checked_settings

    return checked_settings(
        template=template,
        chat_template_args=read_template_args(args),
        think_end_token=think_end_token,
        max_thinking_tokens=max_thinking_tokens,
    )


def _template_args_in(text: str) -> dict[str, Any]:
    shown_text = shortened(text, 60)
    if text.lstrip().startswith("{"):
        content: dict[str, Any] = parse_json(text, f"The template arguments {shown_text!r}")
        return content
    name, sign, value = text.partition("=")
    if not sign or not name.strip():
        raise BadInputError(
            f"Invalid template argument {shown_text!r}.",
            hint="Write it as name=value: enable_thinking=false.",
        )
    if (word := value.strip().casefold()) in _WORDS:
        return {name.strip(): _WORDS[word]}
    try:
        json.loads(value)
    except json.JSONDecodeError:
        return {name.strip(): value}
    except (ValueError, RecursionError):
        pass  # JSON that can't be used: `parse_json` says why
    parsed = parse_json(value, f"The template argument {shown_text!r}")
    return {name.strip(): parsed if isinstance(parsed, int | float | str) else value}


_WORDS: Mapping[str, bool | None] = {
    **dict.fromkeys(("true", "yes", "on"), True),
    **dict.fromkeys(("false", "no", "off"), False),
    **dict.fromkeys(("null", "none"), None),
}
"""Values of template arguments that are no texts, as in YAML; in quotes they are."""


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
    typer.Option(
        min=2, max=MAX_TOKENS, help="The number of tokens for key statistics (default: 10 per key dimension)."
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        parser=check_device_name,
        metavar="DEVICE",
        help="The device: cuda, cuda:1, mps or cpu (default: the best available).",
    ),
]
DeviceMap = Annotated[
    str | None,
    typer.Option(
        parser=check_device_map,
        metavar="MAP",
        help="The places of a model larger than a device's memory: auto, disk, or JSON by module.",
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        parser=check_dtype_name,
        metavar="TYPE",
        help="The data type of the weights: float32, bfloat16, float16, or auto (bfloat16 where the hardware "
        "supports it).",
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
ChatTemplateArgs = Annotated[
    list[str] | None,
    typer.Option(
        "--chat-template-args",
        metavar="NAME=VALUE",
        help="An argument of the chat template, such as enable_thinking=false; yes, no, on, off and null are "
        "read as in YAML, unless in double quotes. Can be repeated.",
    ),
]
ThinkEndToken = Annotated[
    str | None,
    typer.Option(
        help="The text that ends the model's thinking, which is never read as an answer (default: the one "
        "that the chat template mentions, such as </think>)."
    ),
]
MaxThinkingTokens = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="The maximum number of tokens of thinking, in addition to those of an answer (default: 1024, or "
        "half of the model's context if that is less).",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
