"""The rules of joining and tokenizing texts that decide the results of edits, for the keys of results.

Version 1 put a space between every prompt and its answer, kept spaces at the end of a prompt, and turned
quoted control tokens into control tokens. Most edits are the same under both, so that their runs can go on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from sequela.core.joining import joined_as_before
from sequela.edits import Edit

_LIKE_A_CONTROL_TOKEN = re.compile(r"<[^<>\s]{1,60}>|\[/?[A-Z]{2,}\]")


def text_rules(edits: Iterable[Edit]) -> int:
    """Returns 2 if the texts of an edit are treated differently than in version 1, otherwise 1."""
    return 2 if any(map(_differs, edits)) else 1


def _differs(edit: Edit) -> bool:
    return any(not joined_as_before(prompt, answer) for prompt, answer in _pairs(edit)) or any(
        _LIKE_A_CONTROL_TOKEN.search(text) for text in _texts(edit)
    )


def _pairs(edit: Edit) -> Iterator[tuple[str, str]]:
    answers = [answer for answer in (edit.target_new, edit.target_true) if answer]
    for prompt in (edit.question, *edit.paraphrases, *edit.generation, *edit.attribute):
        yield from ((prompt, answer) for answer in answers)
    for probe in (*edit.neighborhood, *edit.portability):
        yield from ((probe.prompt, answer) for answer in (probe.answer, edit.target_new) if answer)


def _texts(edit: Edit) -> Iterator[str]:
    for prompt, answer in _pairs(edit):
        yield prompt
        yield answer
