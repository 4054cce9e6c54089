"""The scores of guessing and of constant answers, from the right answers of a task with generated answers.

A task can be guessed if its items show their options, or if its right answers are a closed set: few different
answers, each of which occurs again and again (`Yes` and `No`, the labels of a classifier). Numbers are a
closed set only if there are very few of them, since the results of counting or of arithmetic repeat too.
"""

from __future__ import annotations

import math
import re
import string
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sequela.results import ItemRecord

REPEATS = 5
"""A closed set's answers occur at least this often on average; numbers twice as often."""

SHOWN_SHARE = 0.9
"""The share of items whose options must be found; a few published items are malformed."""

MOST_LABELS = 30
MOST_NUMBERS = 10

_PAIRS = tuple(
    frozenset(pair.split())
    for pair in (
        "yes no",
        "true false",
        "valid invalid",
        "correct incorrect",
        "right wrong",
        "positive negative",
    )
)
"""Answers that are a closed set however few items there are."""

_OPTION = re.compile(r"^\s*\(?(?P<letter>[A-Z])[).]\s*\S", re.MULTILINE)
_BULLET = re.compile(r"^\s*[-*•]\s*(?P<text>\S.*?)\s*$", re.MULTILINE)
_OPTIONS = re.compile(r"(?im)^\s*(?:options|choices|answer choices)\s*:?\s*$")
_AROUND = string.whitespace + string.punctuation + "“”‘’"


@dataclass(frozen=True)
class Guessing:
    """The scores that need no knowledge of the question.

    Args:
        n: The number of items.
        chance: The expected score of guessing; None if the answers can't be guessed.
        constants: The score of always giving the same answer, by answer.
        names: The name of each answer of a closed set, by its plain form.
    """

    n: int
    chance: float | None = None
    constants: Mapping[str, float] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    def name(self, answer: str) -> str:
        """Returns an extracted answer under the name of the answer of the closed set that it gives."""
        return self.names.get(plain(answer), self.names.get(_first_option(answer), answer))


def guessing_of(records: Sequence[ItemRecord], chance: float | None = None) -> Guessing:
    """Returns the scores of guessing on the items of one task.

    Args:
        records: The items with their right answers (`targets` in the details, else `expected`) and the
            choices that were shown (`choices`, or options in the prompt).
        chance: The chance level that the task file states; None to derive it.
    """
    targets = [_targets(record) for record in records]
    if not records:
        return Guessing(0, chance)
    found = [_n_options(record, some) for record, some in zip(records, targets, strict=True)]
    counts = [count for count in found if count is not None]
    shown = len(counts) >= SHOWN_SHARE * len(records)
    if not shown and not _is_closed(targets):
        return Guessing(len(records), chance)
    labels = sorted({target for some in targets for target in some})
    if chance is None and shown:
        chance = math.fsum(1 / count for count in counts) / len(counts)
    elif chance is None:
        chance = 1 / len({plain(label) for label in labels})
    named = {label: sum(label in some for some in targets) / len(targets) for label in labels}
    return Guessing(len(records), chance, named, {plain(label): label for label in labels})


def pooled(parts: Sequence[Guessing]) -> Guessing:
    """Returns the scores of guessing over the items of several tasks; on a task without options it is 0.

    Args:
        parts: The scores on each task.
    """
    n = sum(part.n for part in parts)
    if not n or all(part.chance is None for part in parts):
        return Guessing(n)
    constants: dict[str, float] = defaultdict(float)
    for part in parts:
        for name, score in part.constants.items():
            constants[name] += score * part.n / n
    names = {key: name for part in parts for key, name in part.names.items()}
    chance = math.fsum((part.chance or 0.0) * part.n for part in parts) / n
    return Guessing(n, chance, dict(sorted(constants.items())), names)


def plain(answer: str) -> str:
    """Returns an answer without case, and without white space and punctuation around it."""
    return answer.strip(_AROUND).casefold() or answer.strip()


def _first_option(answer: str) -> str:
    """Returns the letter with which an answer such as `(B) blue` begins; empty if there is none."""
    match = re.match(r"\W*\(([A-Za-z])\)", answer)
    return match[1].casefold() if match else ""


def _targets(record: ItemRecord) -> list[str]:
    stated = record.details.get("targets")
    return [str(target) for target in stated] if stated else [record.expected]


def _n_options(record: ItemRecord, targets: Sequence[str]) -> int | None:
    """Returns the number of options that an item shows; None if it shows none among which the answer is."""
    if choices := record.details.get("choices"):
        return len(choices)
    letters = [match["letter"] for match in _OPTION.finditer(record.prompt)]
    n_letters = len(letters) if letters == list(string.ascii_uppercase[: len(letters)]) else 0
    wanted = {plain(target) for target in targets}
    if n_letters > 1 and wanted & set(string.ascii_lowercase[:n_letters]):
        return n_letters
    heading = list(_OPTIONS.finditer(record.prompt))
    if heading:
        bullets = {plain(one["text"]) for one in _BULLET.finditer(record.prompt[heading[-1].end() :])}
        if len(bullets) > 1 and wanted & bullets:
            return len(bullets)
    return None


def _is_closed(targets: Sequence[Sequence[str]]) -> bool:
    """Returns whether the right answers of a task, given for each item, are a closed set."""
    if any(len({plain(target) for target in some}) != 1 for some in targets):
        return False  # several right answers are other names of one answer, as in a quiz
    labels = {plain(some[0]) for some in targets}
    if len(labels) < 2 or "" in labels:
        return False
    if labels in _PAIRS:
        return True
    numbers = all(re.fullmatch(r"[-−]?[\d.,]+", label) for label in labels)
    most, repeats = (MOST_NUMBERS, 2 * REPEATS) if numbers else (MOST_LABELS, REPEATS)
    return len(labels) <= most and len(targets) >= repeats * len(labels)
