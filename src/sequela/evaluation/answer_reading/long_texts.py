"""The part of a generated text that is read, so that the time of reading stays bounded for any length.

Readers look for statements at many places of a text, and some of them begin anew at each: a text that repeats
itself without end, as a broken model's does, would take the square of its length.
"""

from __future__ import annotations

import re

from sequela.evaluation.answer_reading.thinking import without_thinking

MOST_SPACES = 50
"""The length up to which a run of white space is left as it is."""

MOST_READ = 20_000
"""The number of characters up to which a text is read whole; of a longer one, half of them at either end."""

_RUN = re.compile(rf"\s{{{MOST_SPACES + 1},}}")
_LAST_WORD = re.compile(r"\S{0,100}\Z")
_FIRST_WORD = re.compile(r"\S{0,100}")


def readable(text: str, *ends: str) -> str:
    """Returns the part of a generated text that is read, without thinking and a long middle.

    Args:
        text: The generated text.
        ends: Marks that end the thinking, as for `without_thinking`.
    """
    answer = without_thinking(with_short_spaces(text), *ends)
    if len(answer) <= MOST_READ:
        return answer
    # No word that is cut in two, such as a number, is read as another one.
    first = _LAST_WORD.sub("", answer[: MOST_READ // 2])
    last = _FIRST_WORD.sub("", answer[-MOST_READ // 2 :], count=1)
    return f"{first.rstrip()}\n\n{last.lstrip()}"


def with_short_spaces(text: str) -> str:
    """Returns a text without long runs of white space, which say nothing.

    Two line breaks stay of those in a run, and a few spaces of a run without line breaks.
    """
    return _RUN.sub(_shortened, text)


def _shortened(run: re.Match[str]) -> str:
    return "\n" * min(2, run[0].count("\n")) or run[0][:MOST_SPACES]
