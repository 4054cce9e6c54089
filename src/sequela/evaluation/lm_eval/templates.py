"""Makes the harness render its templates in the sandbox."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import jinja2
import lm_eval.utils

from sequela.core.errors import BadInputError
from sequela.evaluation.lm_eval.sandbox.rendering import apply_template, apply_without_nulls
from sequela.evaluation.lm_eval.template_errors import in_words


@contextlib.contextmanager
def sandboxed_templates(nulls: bool = True) -> Iterator[None]:
    """Makes the harness render its templates in the sandbox for the length of a block.

    Args:
        nulls: Whether a null may be written, as the text `None`; otherwise that is an error of the template.

    The harness has no setting for this. It also compiles the text of a template for each prompt, target and
    list of choices, and again for each few-shot example, which took most of the time of building requests.
    """
    original = lm_eval.utils.apply_template
    lm_eval.utils.apply_template = apply_template if nulls else apply_without_nulls
    try:
        yield
    finally:
        lm_eval.utils.apply_template = original


@contextlib.contextmanager
def prompts_of(suite: str) -> Iterator[None]:
    """Names the suite if a template can't be rendered while its prompts are built.

    Raises:
        BadInputError: A template can't be rendered.
    """
    try:
        yield
    except jinja2.TemplateError as error:
        raise BadInputError(f"{suite}: a prompt can't be built ({in_words(error)}).") from error
