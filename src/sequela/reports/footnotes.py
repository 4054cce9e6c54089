"""The lines below a summary that explain its cells without a number and its protocol."""

from __future__ import annotations

from collections.abc import Iterable

from sequela.analysis.rules import RULES
from sequela.reports.formatting import NOT_SHOWN
from sequela.reports.summary import CHANGED_CELL, SUPERSEDED_CELL, Summary
from sequela.results import EDIT_QUALITY, protocol_info
from sequela.results.protocols import FREE_DECODING

WHERE = "docs/explanation/measuring.md"
"""The page of the documentation that explains the rules."""


def footnotes(summary: Summary) -> list[str]:
    """Returns a line for each kind of cell of a summary that a reader can't know, in a fixed order."""
    return list(_lines(summary))


def _lines(summary: Summary) -> Iterable[str]:
    cells = [cell for row in summary.rows for cell in row.cells if cell is not None]
    texts = {cell.text for cell in cells}
    if any((one.suite, one.protocol) == (EDIT_QUALITY, FREE_DECODING.name) for one in summary.columns):
        label = protocol_info(FREE_DECODING.name).label
        yield f"Edit quality is measured by {label} where no other protocol is named."
    if SUPERSEDED_CELL in texts:
        yield f"{SUPERSEDED_CELL}: later edits of the same questions superseded all edits with such prompts."
    if CHANGED_CELL in texts:
        yield f"{CHANGED_CELL}: edits in force change all such prompts on purpose, or superseded the edit."
    for name in sorted({rule for cell in cells for rule in cell.rules}):
        rule = RULES[name]
        yield (
            f"{NOT_SHOWN} ({name}), {rule.name}: {rule.meaning}. To do: {rule.advice}. "
            f"See {WHERE}, “Invalid scores”."
        )
