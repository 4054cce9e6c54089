"""Many edits with one method: batch by batch, each on the model the one before left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sequela.core.errors import BadInputError
from sequela.edited import Delta, EditedModel
from sequela.editors.bad_edit_policy import BadEditPolicy
from sequela.editors.base import AnyEditor, EditorState, EditReport, Resources
from sequela.edits import Edit
from sequela.models import LanguageModel


@dataclass(frozen=True)
class Step:
    """What stands after a batch.

    Args:
        edits: The batch.
        delta: The whole change so far, against the base.
        state: The editor's state.
        reports: How each edit of the batch went.
        stopped: Why no further batch shall be made; empty if one may.
    """

    edits: tuple[Edit, ...]
    delta: Delta
    state: EditorState
    reports: tuple[EditReport, ...]
    stopped: str = ""


def edit_batch(
    editor: AnyEditor,
    model: LanguageModel,
    edits: Sequence[Edit],
    before: Delta,
    state: EditorState,
    resources: Resources,
    policy: BadEditPolicy = BadEditPolicy(),  # noqa: B008 - it can't be changed
) -> Step:
    """Makes one batch on top of an earlier change; the model itself is left as it was."""
    with EditedModel(model, before):
        outcome = editor.edit(model, edits, state, resources)
    objection = policy.objection(outcome)
    if objection and policy.action != "report":
        reports = tuple(
            report.model_copy(update={"dropped": report.dropped or objection}) for report in outcome.reports
        )
        stopped = objection if policy.action == "stop" else ""
        return Step(tuple(edits), before, state, reports, stopped)
    reports = outcome.reports
    if objection:
        reports = tuple(report.model_copy(update={"warning": objection}) for report in reports)
    delta = outcome.delta if outcome.replaces else before + outcome.delta
    return Step(tuple(edits), delta, outcome.state, reports)


def edit_in_batches(
    editor: AnyEditor,
    model: LanguageModel,
    edits: Sequence[Edit],
    batch_size: int,
    resources: Resources,
    before: Delta | None = None,
    policy: BadEditPolicy = BadEditPolicy(),  # noqa: B008 - it can't be changed
) -> Iterator[Step]:
    """Makes edits batch by batch, beginning with the unedited model.

    Args:
        editor: The method.
        model: The unedited model.
        edits: The edits in their order.
        batch_size: How many are made together.
        resources: What the editor may draw on.
        before: An earlier change, which the first batch is made on top of.
        policy: What follows a bad edit.

    Yields:
        What stands after each batch; after one that is `stopped` there is no other.

    Raises:
        ValueError: The batch size isn't positive.
        BadInputError: The method can't make such edits, or not so many at once.
    """
    if batch_size < 1:
        raise ValueError(f"A batch of {batch_size} edits was asked for; expected at least 1.")
    editor.info.check_batch_size(batch_size)
    check_subjects(editor, edits)
    delta, state = before or Delta.empty(model.fingerprint), editor.prepare(model, resources)
    for first in range(0, len(edits), batch_size):
        batch = edits[first : first + batch_size]
        step = edit_batch(editor, model, batch, delta, state, resources, policy)
        delta, state = step.delta, step.state
        yield step
        if step.stopped:
            return


def check_subjects(editor: AnyEditor, edits: Sequence[Edit]) -> None:
    """Refuses edits without a subject for a method that writes at the subject.

    Raises:
        BadInputError: An edit has none; named by its id.
    """
    without = [edit.id for edit in edits if edit.subject is None] if editor.info.needs_subject else []
    if without:
        raise BadInputError(
            f"{editor.name} writes at the subject, and {len(without)} of {len(edits)} edits have none "
            f"(the first: {without[0]}).",
            hint="Give each edit a subject, with {} in its place, or use ultraedit or ft-m.",
        )
