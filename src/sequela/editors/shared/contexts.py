"""Context templates: texts before a prompt, so that an edit doesn't depend on one particular context.

They are sampled once, from the unedited model with a fixed seed, and belong to the editor's state.
They can also be read from a file, so that independent implementations can be compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from sequela.core.arguments import check_items
from sequela.core.errors import BadInputError, shown
from sequela.core.plain_values import text_problem
from sequela.core.text_files import read_text
from sequela.inference.sampling import sample_tokens
from sequela.models import LanguageModel
from sequela.models.spans import BLANK

OPENINGS = ("The", "Therefore", "Because", "I", "You")
"""The first words of sampled contexts (Meng et al. 2022, released code)."""

CONTEXT_TOKENS = 10
"""The number of tokens sampled after the first word."""

MAX_CONTEXT_TOKENS = 4 * (CONTEXT_TOKENS + 4)
"""More tokens than a sampled context has: one that is sampled within a character is read as up to four."""

SAMPLING_TOP_K = 5
"""The number of most likely tokens that contexts are sampled from, so that they read like text."""


def sample_contexts(model: LanguageModel, count: int, seed: int) -> tuple[str, ...]:
    """Returns `{}` itself and `count` sampled contexts that end in `. {}`.

    Args:
        model: The unedited model.
        count: The number of contexts to sample.
        seed: The seed of the sampling.
    """
    generator = torch.Generator().manual_seed(seed)
    templates = [BLANK]
    for number in range(count):
        start = model.tokenizer(OPENINGS[number % len(OPENINGS)])["input_ids"]
        (row,) = sample_tokens(model, [start], CONTEXT_TOKENS, generator, SAMPLING_TOP_K)
        text = model.tokenizer.decode(row, skip_special_tokens=True)
        words = " ".join(text.replace("{", " ").replace("}", " ").split())
        templates.append(f"{words.rstrip('.')}. {BLANK}")
    return tuple(templates)


def check_contexts(contexts: Sequence[str]) -> tuple[str, ...]:
    """Checks context templates given in code and returns them as a tuple.

    Raises:
        BadInputError: The first isn't `{}`, or one of them, named by its number, doesn't contain `{}` exactly
            once.
    """
    if isinstance(contexts, str):
        raise BadInputError(f"The contexts are a single string, {contexts!r}; expected a list of templates.")
    contexts = check_items("contexts", contexts, str, "a text")
    for number, template in enumerate(contexts, start=1):
        _check_template(template, f"Context {number}")
    _check_first(contexts, "Contexts")
    return contexts


def read_contexts(path: Path) -> tuple[str, ...]:
    """Reads context templates from a text file, one per line; the first must be `{}`.

    Raises:
        BadInputError: The file can't be read, the first template isn't `{}`, or a line, named by its number,
            doesn't contain `{}` exactly once.
    """
    try:
        lines = read_text(path).splitlines()
    except BadInputError as error:
        raise BadInputError(f"The contexts file {error.message}", hint=error.hint) from error
    templates = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    for number, line in templates:
        _check_template(line, f"{path}, line {number}")
    contexts = tuple(line for _, line in templates)
    _check_first(contexts, str(path))
    return contexts


def _check_template(template: str, where: str) -> None:
    if unusable := text_problem(template):
        raise BadInputError(f"{where}: {shown(template)} has {unusable}.")
    if template.count(BLANK) != 1:
        raise BadInputError(f"{where}: {template!r} must contain {BLANK} exactly once, for the prompt.")


def _check_first(contexts: Sequence[str], where: str) -> None:
    if not contexts or contexts[0] != BLANK:
        raise BadInputError(f"{where}: the first context must be {BLANK}, the prompt without a context.")
