"""Removal of a reasoning model's thinking, which is never read as an answer."""

from __future__ import annotations

import re

END_OF_THINKING = "</think>"
"""The mark at which most reasoning models stop thinking."""

_NAMES = r"(?:\w+:)?(?:think(?:ing)?|thoughts?|reason(?:ing)?)"
_START = re.compile(rf"[<\[◁]\s*{_NAMES}\s*[>\]▷]", re.IGNORECASE)
_END = re.compile(rf"[<\[◁]\s*/\s*{_NAMES}\s*[>\]▷]", re.IGNORECASE)
"""The marks that models use: `<think>`, `<thinking>`, `[THINK]`, `<seed:think>` and their like."""


def without_thinking(text: str, *ends: str) -> str:
    """Returns the part of a text behind its thinking; empty if the thinking doesn't end.

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
        if start != end and start.casefold() in text.casefold():
            return ""
    return "" if _START.search(text) else text
