"""What the unedited model answers to an edit's own prompt: a column by which every edit score can be split.

An edit whose new answer the model gave before the edit shows little when it "succeeds", and one whose old
answer it never knew is an addition, not a change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sequela.edits import Edit
from sequela.evaluation.edit_quality.answer_matching import normalize_answer, starts_with_answer
from sequela.results import ItemRecord, KnownBefore
from sequela.results.known_before import KNOWN_BEFORE
from sequela.results.metrics import EFFICACY
from sequela.results.protocols import FREE_DECODING


def known_before(answer: str, edit: Edit) -> KnownBefore:
    """Returns which answer to an edit's prompt a freely decoded text of the unedited model gives.

    If one begins with the other (`New York`, `New York City`) and the text with both, the longer one counts.

    Args:
        answer: The text.
        edit: The edit.
    """
    new = starts_with_answer(answer, edit.target_new)
    old = edit.target_true is not None and starts_with_answer(answer, edit.target_true)
    if new and old and edit.target_true is not None:
        new = len(normalize_answer(edit.target_new)) >= len(normalize_answer(edit.target_true))
    if new:
        return KnownBefore.NEW
    if old:
        return KnownBefore.OLD
    return KnownBefore.OTHER if normalize_answer(answer) else KnownBefore.NOTHING


def known_before_all(unedited: Iterable[ItemRecord], edits: Sequence[Edit]) -> dict[str, KnownBefore]:
    """Returns which answer the unedited model gives to each edit's prompt, by the edit's id.

    A prompt that is too long, or whose logits are not finite, has none.

    Args:
        unedited: The records of the unedited model.
        edits: The edits.
    """
    answers = {
        one.item: one.answer if one.finite and one.too_long is None else ""
        for one in unedited
        if (one.metric, one.protocol) == (EFFICACY.name, FREE_DECODING.name)
    }
    return {edit.id: known_before(answers[edit.id], edit) for edit in edits if edit.id in answers}


def with_known_before(records: Iterable[ItemRecord], known: Mapping[str, KnownBefore]) -> list[ItemRecord]:
    """Returns records of edits with the column `known_before` in their details.

    Args:
        records: The records.
        known: The unedited model's answers, by the edit's id.
    """
    return [
        one.model_copy(update={"details": {**one.details, KNOWN_BEFORE: known[one.item].value}})
        if one.item in known
        else one
        for one in records
    ]
