"""Caches compiled prompt templates, which the harness would compile again for every item."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import jinja2
import lm_eval.utils

N_KEPT = 256
"""The number of compiled templates in the cache; a benchmark has a handful."""


@contextlib.contextmanager
def templates_compiled_once() -> Iterator[None]:
    """Makes the harness use cached compiled templates for the length of a block.

    The harness has no setting for this: it parses and compiles the Jinja text of a template for each prompt,
    target and list of choices, and again for each few-shot example. This took most of the time of building
    requests.
    """
    original = lm_eval.utils.apply_template
    lm_eval.utils.apply_template = apply_template
    try:
        yield
    finally:
        lm_eval.utils.apply_template = original


def apply_template(template: str, document: Mapping[str, Any]) -> str:
    """Renders a template for a document, as the harness would."""
    return _compiled(template).render(**document)


@lru_cache(maxsize=N_KEPT)
def _compiled(template: str) -> jinja2.Template:
    compiled: jinja2.Template = lm_eval.utils.env.from_string(template)
    return compiled
