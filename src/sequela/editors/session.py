"""The one way from a method and a model to an edited model: a session that makes edits in batches."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from sequela.core.errors import BadInputError
from sequela.edited import Delta, EditedModel
from sequela.edited.chat_template import ChatTemplate
from sequela.edited.protocols import RequestRouter
from sequela.editors.bad_edit_policy import BadEditPolicy
from sequela.editors.base import AnyEditor, EditorState, EditReport, Resources
from sequela.editors.presets import with_preset
from sequela.edits import Edit
from sequela.models import LanguageModel


@dataclass(frozen=True)
class Snapshot:
    """A model after some edits: all that is needed to run it and to make further edits.

    Args:
        n_edits: The number of edits so far, those that could not be made included.
        delta: The change of weights against the base that the next batch is made on top of.
        state: The editor's state.
    """

    n_edits: int
    delta: Delta
    state: EditorState


@dataclass(frozen=True)
class BatchResult(Snapshot):
    """The model after one more batch, and how each edit of the batch went.

    Args:
        n_edits: The number of edits so far, this batch included.
        delta: The change of weights so far; a rejected batch changes nothing.
        state: The editor's state.
        edits: The batch.
        reports: A report for each edit of the batch.
        seconds: Wall-clock time of the editing alone.
        stopped: Why no further batch is made; empty if there may be one.
    """

    edits: tuple[Edit, ...]
    reports: tuple[EditReport, ...]
    seconds: float
    stopped: str = ""

    @property
    def made(self) -> tuple[str, ...]:
        """The ids of the edits of the batch that were made."""
        return tuple(report.edit_id for report in self.reports if not report.dropped)


@dataclass(frozen=True, eq=False)
class EditSession:
    """Edits of one model with one method, batch after batch in the order given.

    The model is never left changed: `edited` says what it is with the edits of a snapshot.

    Args:
        model: The model without any edit in force.
        editor: The method with all its settings; `with_preset` fills in those of the model's preset.
        resources: Statistics, contexts, seed and progress for the editor.
        batch_size: The number of edits made together.
        policy: The policy for bad edits.
        template: The chat template in which the editor is given the prompts; None gives them as they are.

    Raises:
        ValueError: The batch size isn't positive.
        BadInputError: The method can't make so many edits at once.
    """

    model: LanguageModel
    editor: AnyEditor
    resources: Resources
    batch_size: int = 1
    policy: BadEditPolicy = BadEditPolicy()  # noqa: RUF009 - it can't be changed
    template: ChatTemplate | None = None

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"A batch of {self.batch_size} edits was asked for; expected at least 1.")
        self.editor.info.check_batch_size(self.batch_size)

    def with_preset(self) -> EditSession:
        """Returns the same session with the settings of the method's preset for the model filled in.

        Raises:
            BadInputError: Published settings are asked for, and there are none for this model.
        """
        return replace(self, editor=with_preset(self.editor, self.model, self.resources.progress))

    @cached_property
    def initial_state(self) -> EditorState:
        """The editor's state before the first edit; prepared on the unedited model when first read."""
        state: EditorState = self.editor.prepare(self.model, self.resources)
        return state

    def start(self, before: Delta | None = None) -> Snapshot:
        """Returns the snapshot that the first batch is made on top of.

        Args:
            before: An earlier change of weights; None starts from the unedited model.
        """
        return Snapshot(0, before or Delta.empty(self.model.fingerprint), self.initial_state)

    def batches(self, edits: Sequence[Edit], n_made: int = 0) -> Iterator[tuple[Edit, ...]]:
        """Yields the batches of edits in their order, from the edit with index `n_made` on."""
        for first in range(n_made, len(edits), self.batch_size):
            yield tuple(edits[first : first + self.batch_size])

    def make(self, edits: Sequence[Edit], after: Snapshot) -> BatchResult:
        """Makes one batch of edits on top of a snapshot.

        Args:
            edits: The batch.
            after: The snapshot.
        """
        started = time.perf_counter()
        with EditedModel(self.model, after.delta):
            outcome = self.editor.edit(self.model, self._for_editor(edits), after.state, self.resources)
        objection, reports = self.policy.violation(outcome), outcome.reports
        delta, state, stopped = after.delta, after.state, ""
        if objection and self.policy.action != "report":
            reports = tuple(
                report.model_copy(update={"dropped": report.dropped or objection}) for report in reports
            )
            stopped = objection if self.policy.action == "stop" else ""
        else:
            if objection:
                reports = tuple(report.model_copy(update={"warning": objection}) for report in reports)
            delta = outcome.delta if outcome.replaces else after.delta + outcome.delta
            state = outcome.state
        return BatchResult(
            n_edits=after.n_edits + len(edits),
            delta=delta,
            state=state,
            edits=tuple(edits),
            reports=reports,
            seconds=time.perf_counter() - started,
            stopped=stopped,
        )

    def run(self, edits: Sequence[Edit], after: Snapshot | None = None) -> Iterator[BatchResult]:
        """Makes edits batch by batch.

        Args:
            edits: All edits in their order, those that the snapshot has included.
            after: The snapshot to go on from; None starts from the unedited model.

        Yields:
            The result of each batch; after one that is `stopped` there is no other.

        Raises:
            BadInputError: The method writes at the subject, and an edit has none.
        """
        check_subjects(self.editor, edits)
        at = self.start() if after is None else after
        for batch in self.batches(edits, at.n_edits):
            result = self.make(batch, at)
            yield result
            if result.stopped:
                return
            at = result

    def edited(self, at: Snapshot, routers: tuple[RequestRouter, ...] = ()) -> EditedModel:
        """Returns the model with all edits of a snapshot, wherever they act.

        Args:
            at: The snapshot.
            routers: Routers that requests pass after the edits' own, such as a chat template.
        """
        return self.editor.edited(self.model, at.delta, at.state, routers)

    def _for_editor(self, edits: Sequence[Edit]) -> Sequence[Edit]:
        """Returns the edits in the chat template, if there is one.

        An editor of requests is given them without: its router comes before that of the template.
        """
        template = self.template
        if template is None or self.editor.location == "prompt":
            return edits
        return [edit.model_copy(update={"prompt": template.rewrite(edit.prompt)}) for edit in edits]


def check_subjects(editor: AnyEditor, edits: Sequence[Edit]) -> None:
    """Rejects edits without a subject for a method that writes at the subject.

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
