"""Long runs of white space, which say nothing, and at whose every character a reader would begin anew."""

from __future__ import annotations

import re

MOST_SPACES = 50
"""The length up to which a run of white space is left as it is."""

_RUN = re.compile(rf"\s{{{MOST_SPACES + 1},}}")


def with_short_spaces(text: str) -> str:
    """Returns a text without long runs of white space, so that the time of reading it grows with its length.

    Two line breaks stay of those in a run, and a few spaces of a run without line breaks.
    """
    return _RUN.sub(_shortened, text)


def _shortened(run: re.Match[str]) -> str:
    return "\n" * min(2, run[0].count("\n")) or run[0][:MOST_SPACES]
