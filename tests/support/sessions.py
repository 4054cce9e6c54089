"""Helpers to edit with a session, for tests that have a method, a model and edits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sequela.edited import Delta
from sequela.editors import AnyEditor, BadEditPolicy, EditorState, Resources
from sequela.editors.session import BatchResult, EditSession, Snapshot
from sequela.edits import Edit
from sequela.models import LanguageModel


def edit_in_batches(
    editor: AnyEditor,
    model: LanguageModel,
    edits: Sequence[Edit],
    batch_size: int,
    resources: Resources,
    policy: BadEditPolicy | None = None,
) -> Iterator[BatchResult]:
    """Applies edits batch by batch, beginning with the unedited model."""
    return EditSession(model, editor, resources, batch_size, policy or BadEditPolicy()).run(edits)


def edit_batch(
    editor: AnyEditor,
    model: LanguageModel,
    edits: Sequence[Edit],
    before: Delta,
    state: EditorState,
    resources: Resources,
) -> BatchResult:
    """Applies one batch on top of an earlier change."""
    return EditSession(model, editor, resources).apply_batch(edits, Snapshot(0, before, state))
