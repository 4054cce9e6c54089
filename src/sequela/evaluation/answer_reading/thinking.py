"""Removal of a reasoning model's thinking, which is never read as an answer."""

from __future__ import annotations

import re

END_OF_THINKING = "</think>"
"""The mark at which most reasoning models stop thinking."""

_NAMES = r"(?:\w+:)?(?:think(?:ing)?|thoughts?|reason(?:ing)?|scratch_?pad)"
_START = re.compile(rf"[<\[◁]\s*{_NAMES}\s*[>\]▷]|<\|\s*begin_of_{_NAMES}\s*\|>", re.IGNORECASE)
_END = re.compile(rf"[<\[◁]\s*/\s*{_NAMES}\s*[>\]▷]|<\|\s*end_of_{_NAMES}\s*\|>", re.IGNORECASE)
"""The marks that models use: `<think>`, `[THINK]`, `<seed:think>`, `<|begin_of_thought|>` and their like."""


def without_thinking(text: str, *ends: str) -> str:
    """Returns the part of a text behind its thinking; empty if the thinking doesn't end.

    A model that begins to think again behind an answer hasn't given its last one, so that answer isn't read.
    A mark at the very end begins no thought, and the answer before it is read.

    The mark that begins the thinking is the one that ends it without its slash (`<think>`, `[THINK]`). A
    prompt may contain it already, so everything before the last mark of the end is thinking.

    Args:
        text: The generated text.
        ends: Marks that end the thinking, in any case, in addition to `</think>` and its variants.
    """
    *_, text = _END.split(text)
    for end in ends:
        *_, text = re.split(re.escape(end), text, flags=re.IGNORECASE)
        start = end.replace("/", "", 1)
        if start != end:
            text = _before(re.search(re.escape(start), text, flags=re.IGNORECASE), text)
    return _before(_START.search(text), text)


def _before(start: re.Match[str] | None, text: str) -> str:
    """Returns the text before a mark at its end, nothing if thinking follows the mark."""
    if start is None:
        return text
    return "" if text[start.end() :].strip() else text[: start.start()]
