"""Characters that nothing can use, which a template makes by an escape or a format.

Records were checked when they were read; what a template writes exists only when it is rendered.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2.exceptions import TemplateRuntimeError

from sequela.core.plain_values import can_be_encoded, problem_of, text_problem


def check_characters(value: Any, document: Mapping[str, Any]) -> None:
    """Checks the texts of a rendered value: a text, or a list that a rendered text stands for.

    A NUL that a published record has is what was published.

    Raises:
        TemplateRuntimeError: A text has half of a surrogate pair, or a NUL that the document hasn't.
    """
    for text in _texts_in(value):
        unusable = text_problem(text)
        if unusable and (not can_be_encoded(text) or problem_of(dict(document)) is None):
            raise TemplateRuntimeError(f"it writes {unusable}")


def _texts_in(value: Any) -> list[str]:
    found: list[str] = []
    to_visit = [value]
    while to_visit:
        one = to_visit.pop()
        if isinstance(one, str):
            found.append(one)
        elif isinstance(one, Mapping):
            to_visit += [*one, *one.values()]
        elif isinstance(one, list | tuple | set | frozenset):
            to_visit += one
    return found
