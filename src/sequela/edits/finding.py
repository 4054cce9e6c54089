"""Findings of the checks of an edit set."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class FindingKind(str, Enum):
    """The kinds of findings."""

    CONTRADICTION = "contradiction"
    REPEAT = "repeat"
    UNCHANGED = "unchanged"
    SHARED_KEY = "shared_key"
    SEVERAL_BLANKS = "several_blanks"
    OWN_PARAPHRASE = "own_paraphrase"
    EDITED_PARAPHRASE = "edited_paraphrase"
    EDITED_NEIGHBOR = "edited_neighbor"
    REWORDED_NEIGHBOR = "reworded_neighbor"
    LONG_EDIT = "long_edit"
    LONG_PROMPT = "long_prompt"
    LONG_TARGET = "long_target"
    LONG_NEIGHBORHOOD_ANSWER = "long_neighborhood_answer"
    LONG_PORTABILITY_ANSWER = "long_portability_answer"
    SPECIAL_TOKEN = "special_token"
    TRAILING_SPACE = "trailing_space"
    UNSPACED_JOIN = "unspaced_join"


@dataclass(frozen=True)
class Finding:
    """A property of an edit set that limits what its scores can show.

    Args:
        kind: The kind.
        title: The questions, edits, prompts or answers that have the property, as a phrase.
        count: The number of those that have it.
        of: The number of those that were examined.
        edit_ids: The ids of the edits concerned, in order.
        consequence: What follows for measuring, in a sentence.
        examples: The first cases, in words.
    """

    kind: FindingKind
    title: str
    count: int
    of: int
    edit_ids: tuple[str, ...]
    consequence: str
    examples: tuple[str, ...]

    @property
    def counted(self) -> str:
        """The title with the numbers."""
        return counted(self.title, self.count, self.of, len(self.edit_ids))

    @property
    def sentence(self) -> str:
        """The numbers and the consequence."""
        return f"{self.counted}. {self.consequence}"


@dataclass(frozen=True)
class Case:
    """One case of a finding: the ids of the edits concerned, and a description."""

    edit_ids: tuple[str, ...]
    text: str


SHOWN_CASES = 3
"""The number of examples of a finding."""

LONGEST_EXAMPLE = 400
"""The number of characters of an example; the edits themselves have the whole texts."""


def counted(title: str, count: int, of: int, n_edits: int) -> str:
    """Returns a title with its numbers: `Paraphrases: 20 of 1,037, in 15 edits`."""
    edits = "" if n_edits == count else f", in {n_edits:,} {'edit' if n_edits == 1 else 'edits'}"
    return f"{title}: {count:,} of {of:,}{edits}"


def finding(
    kind: FindingKind, title: str, cases: Iterable[Case], of: int, consequence: str
) -> Finding | None:
    """Returns a finding; None if it has no cases.

    Args:
        kind: The kind.
        title: The questions, edits, prompts or answers that have the property, as a phrase.
        cases: All cases.
        of: The number of questions, edits, prompts or answers that were examined.
        consequence: What follows for measuring, in a sentence.
    """
    found = list(cases)
    if not found:
        return None
    return Finding(
        kind=kind,
        title=title,
        count=len(found),
        of=of,
        edit_ids=tuple(dict.fromkeys(one for case in found for one in case.edit_ids)),
        consequence=consequence,
        examples=tuple(_both_ends(case.text) for case in found[:SHOWN_CASES]),
    )


def _both_ends(text: str) -> str:
    """Returns a text without its middle if it is long: the question stands first, the answers last."""
    half = LONGEST_EXAMPLE // 2
    return text if len(text) <= LONGEST_EXAMPLE else f"{text[:half]} … {text[-half:]}"
