"""Many edits with one method: batch by batch, each on the model the one before left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sequela.deltas import Delta
from sequela.editors.editor import AnyEditor, EditorState, EditReport, Resources
from sequela.edits import Edit
from sequela.models import EditedModel, LanguageModel


@dataclass(frozen=True)
class Step:
    """What stands after a batch.

    Args:
        edits: The batch.
        delta: The whole change so far, against the base.
        state: The editor's state.
        reports: How each edit of the batch went.
    """

    edits: tuple[Edit, ...]
    delta: Delta
    state: EditorState
    reports: tuple[EditReport, ...]


def edit_batch(
    editor: AnyEditor,
    model: LanguageModel,
    edits: Sequence[Edit],
    before: Delta,
    state: EditorState,
    resources: Resources,
) -> Step:
    """Makes one batch on top of an earlier change; the model itself is left as it was."""
    with EditedModel(model, before):
        outcome = editor.edit(model, edits, state, resources)
    return Step(tuple(edits), before + outcome.delta, outcome.state, outcome.reports)


def edit_in_batches(
    editor: AnyEditor,
    model: LanguageModel,
    edits: Sequence[Edit],
    batch_size: int,
    resources: Resources,
    before: Delta | None = None,
) -> Iterator[Step]:
    """Makes edits batch by batch, beginning with the unedited model.

    Args:
        editor: The method.
        model: The unedited model.
        edits: The edits in their order.
        batch_size: How many are made together.
        resources: What the editor may draw on.
        before: An earlier change, which the first batch is made on top of.

    Yields:
        What stands after each batch.

    Raises:
        ValueError: The batch size isn't positive.
    """
    if batch_size < 1:
        raise ValueError(f"A batch of {batch_size} edits was asked for; expected at least 1.")
    delta, state = before or Delta.empty(model.fingerprint), editor.prepare(model, resources)
    for first in range(0, len(edits), batch_size):
        step = edit_batch(editor, model, edits[first : first + batch_size], delta, state, resources)
        delta, state = step.delta, step.state
        yield step
