"""Removal of a reasoning model's thinking, which is never read as an answer."""

from __future__ import annotations

import re

END_OF_THINKING = "</think>"
"""The mark at which most reasoning models stop thinking."""


def without_thinking(text: str, *ends: str) -> str:
    """Returns the part of a text behind its thinking; empty if the thinking doesn't end.

    The mark that begins the thinking is the one that ends it without its slash (`<think>`, `[THINK]`). A
    prompt may contain it already, so everything before the last mark of the end is thinking.

    Args:
        text: The generated text.
        ends: The marks that end the thinking, in any case; `</think>` if there are none.
    """
    for end in ends or (END_OF_THINKING,):
        *_, text = re.split(re.escape(end), text, flags=re.IGNORECASE)
        start = end.replace("/", "", 1)
        if start != end and start.casefold() in text.casefold():
            return ""
    return text
