"""Fields of an item with `choices` and `labels`, 1 for each right choice, as TruthfulQA has them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random

from sequela.core.errors import BadInputError
from sequela.core.hashing import hash_json
from sequela.core.visible_text import shortened
from sequela.evaluation.lm_eval.data_layout import Row

_SHOWN = 60
"""The number of characters of a value that a message repeats."""


def labels_problem(row: Row, field: str) -> str:
    """Returns why a field of an item is no choices with labels; an empty text if it is."""
    if field not in row:
        return f"the field {field!r} is missing"
    value = row[field]
    if not isinstance(value, dict) or not {"choices", "labels"} <= value.keys():
        return f"the field {field!r} is {_shown(value)}, expected an object with `choices` and `labels`"
    choices, labels = value["choices"], value["labels"]
    if not isinstance(choices, list) or not all(isinstance(one, str) and one.strip() for one in choices):
        return f"the choices of {field!r} are {_shown(choices)}, expected a list of texts"
    if not isinstance(labels, list) or not all(type(one) is int and one in (0, 1) for one in labels):
        return f"the labels of {field!r} are {_shown(labels)}, expected a list of 0 and 1"
    if len(choices) != len(labels):
        return f"the field {field!r} has {len(choices)} choices and {len(labels)} labels"
    return "" if 1 in labels else f"the field {field!r} has no choice with the label 1"


def check_labels(rows: Iterable[Row], fields: Iterable[str], source: str, used_as: str) -> None:
    """Checks the fields with labeled choices of all items.

    Args:
        rows: The items.
        fields: The names of the fields.
        source: The file with the items, for messages.
        used_as: The key of the task file that names the fields, for messages.

    Raises:
        BadInputError: One of them is something else.
    """
    names = tuple(fields)
    for number, row in enumerate(rows, start=1):
        for name in names:
            if problem := labels_problem(row, name):
                raise BadInputError(
                    f"{source}, record {number}: {problem}.",
                    hint=f"The task file names this field under `{used_as}`.",
                )


def shuffled(row: Row, fields: Sequence[str]) -> Row:
    """Returns an item with the choices of some fields in an order that depends on its question alone."""
    changed = dict(row)
    for kind in fields:
        pairs = sorted(zip(row[kind]["choices"], row[kind]["labels"], strict=True))
        question = row["question"] if "question" in row else hash_json(row)
        Random(f"{kind}: {question}").shuffle(pairs)
        changed[kind] = {"choices": [pair[0] for pair in pairs], "labels": [pair[1] for pair in pairs]}
    return changed


def _shown(value: object) -> str:
    return shortened(repr(value), _SHOWN)
