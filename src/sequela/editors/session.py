"""Sessions that apply a sequence of edits to a model in batches, with one method."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from sequela.edited import Delta, EditedModel
from sequela.edited.chat_template import ChatTemplate
from sequela.edited.control_answers import without_control_answers
from sequela.edited.protocols import RequestRouter
from sequela.editors.bad_edit_policy import BadEditPolicy
from sequela.editors.base import AnyEditor, EditorState, EditOutcome, EditReport, Resources
from sequela.editors.presets import with_preset
from sequela.editors.read_texts import ReadText, may_exceed, too_long
from sequela.editors.shared.contexts import MAX_CONTEXT_TOKENS
from sequela.edits import Edit
from sequela.edits.questions import question_key
from sequela.models import LanguageModel
from sequela.store import Address


@dataclass(frozen=True)
class Snapshot:
    """A model after some edits: everything that is needed to run it and to continue editing.

    Args:
        n_edits: The number of edits so far, including those that were dropped.
        delta: The change of weights against the unedited model, on which the next batch builds.
        state: The editor's state.
    """

    n_edits: int
    delta: Delta
    state: EditorState


@dataclass(frozen=True)
class BatchResult(Snapshot):
    """The model after one more batch, with a report for each edit of the batch.

    Args:
        n_edits: The number of edits so far, including this batch.
        delta: The change of weights so far; a rejected batch changes nothing.
        state: The editor's state.
        edits: The batch.
        reports: A report for each edit of the batch, in order.
        seconds: The wall-clock time of the editing alone.
        stopped: The reason why editing ends after this batch; empty if it may continue.
    """

    edits: tuple[Edit, ...]
    reports: tuple[EditReport, ...]
    seconds: float
    stopped: str = ""

    @property
    def applied(self) -> tuple[str, ...]:
        """The ids of the batch's edits that were applied."""
        return tuple(report.edit_id for report in self.reports if not report.dropped)


@dataclass(frozen=True, eq=False)
class EditSession:
    """A session that edits one model with one method, batch by batch in the given order.

    The model is never left changed; `edited` returns the model with the edits of a snapshot.

    Args:
        model: The model without any edit applied.
        editor: The editor with all its settings; `with_preset` fills in those of the model's preset.
        resources: Statistics, contexts, seed and progress for the editor.
        batch_size: The number of edits applied together.
        policy: The policy for bad edits.
        template: The chat template applied to the prompts for the editor; None leaves them unchanged.

    Raises:
        BadInputError: The batch size isn't a whole number from 1 on, or the method doesn't take such batches,
            or it trains weights that are offloaded.
    """

    model: LanguageModel
    editor: AnyEditor
    resources: Resources
    batch_size: int = 1
    policy: BadEditPolicy = BadEditPolicy()  # noqa: RUF009 - it can't be changed
    template: ChatTemplate | None = None

    def __post_init__(self) -> None:
        self.editor.info.check_batch_size(self.batch_size)
        self.editor.info.check_offload(self.model.offloaded)

    def with_preset(self) -> EditSession:
        """Returns the same session with missing settings filled in from the model's preset.

        Raises:
            BadInputError: The `published` preset is requested, and there is none for this model.
        """
        return replace(self, editor=with_preset(self.editor, self.model, self.resources.progress))

    @cached_property
    def initial_state(self) -> EditorState:
        """The editor's state before the first edit, prepared on the unedited model at first access."""
        state: EditorState = self.editor.prepare(self.model, self.resources)
        return state

    @property
    def used_objects(self) -> frozenset[Address]:
        """The objects of the store that the method has read so far: statistics, a trained network."""
        return self.resources.statistics.used | self.editor.used_objects(self.model)

    def start(self, before: Delta | None = None) -> Snapshot:
        """Returns the snapshot that the first batch builds on.

        Args:
            before: An earlier change of weights; None starts from the unedited model.
        """
        return Snapshot(0, before or Delta.empty(self.model.fingerprint), self.initial_state)

    def batches(self, edits: Sequence[Edit], start: int = 0) -> Iterator[tuple[Edit, ...]]:
        """Yields the batches of edits in order, starting at the edit with index `start`."""
        for first in range(start, len(edits), self.batch_size):
            yield tuple(edits[first : first + self.batch_size])

    def apply_batch(self, edits: Sequence[Edit], after: Snapshot) -> BatchResult:
        """Applies one batch of edits on top of a snapshot.

        Args:
            edits: The batch.
            after: The snapshot.
        """
        started = time.perf_counter()
        outcome = self._edit(self._for_editor(edits), after)
        objection, reports = self.policy.violation(outcome), outcome.reports
        if reason := self._no_effect(outcome, after):
            reports = tuple(
                report.model_copy(update={"dropped": report.dropped or reason}) for report in reports
            )
        elif self.editor.location == "weights":
            reports = tuple(_without_effect(report) for report in reports)
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

    def _edit(self, edits: Sequence[Edit], after: Snapshot) -> EditOutcome[EditorState]:
        """Returns the outcome of a batch without edits that can't be read or that a later one replaces."""
        contexts = after.state.context_templates
        found = {edit.id: too_long(self.model, self._texts(edit), contexts) for edit in edits}
        unreadable = {name: reason for name, reason in found.items() if reason}
        reasons = replaced_within([edit for edit in edits if edit.id not in unreadable]) | unreadable
        fitting = [edit for edit in edits if edit.id not in reasons]
        if fitting:
            with EditedModel(self.model, after.delta):
                outcome = self.editor.edit(self.model, fitting, after.state, self.resources)
        else:
            outcome = EditOutcome(Delta.empty(self.model.fingerprint), after.state, ())
        if not reasons:
            return outcome
        made = {report.edit_id: report for report in outcome.reports}
        dropped = {name: EditReport.for_dropped(name, reason) for name, reason in reasons.items()}
        reports = tuple((dropped | made)[edit.id] for edit in edits)
        return replace(outcome, reports=reports)

    def _texts(self, edit: Edit) -> tuple[ReadText, ...]:
        """Returns the texts of an edit that the method reads."""
        return (ReadText.of_edit(edit), *self.editor.further_texts(edit))

    def reads_near_limit(self, edits: Sequence[Edit]) -> bool:
        """Returns whether a text that the method reads may not fit, though the edit's prompt and target do.

        Earlier versions read such texts. Which of them fit in the sampled contexts isn't known before the
        contexts are, so the longest that can be sampled counts.
        """
        further = MAX_CONTEXT_TOKENS if self.editor.state_class.reads_in_contexts() else 0
        return any(
            any(may_exceed(self.model, text, further) for text in self._texts(edit))
            and not may_exceed(self.model, ReadText.of_edit(edit), 0)
            for edit in self._for_editor(edits)
        )

    def run(self, edits: Sequence[Edit], after: Snapshot | None = None) -> Iterator[BatchResult]:
        """Applies edits batch by batch.

        Args:
            edits: All edits in order, including those that are in the snapshot already.
            after: The snapshot to continue from; None starts from the unedited model.

        Yields:
            The result of each batch; a result with `stopped` is the last.

        Raises:
            BadInputError: The method needs subjects, and an edit has none.
        """
        self.editor.info.check_subjects(edits)
        at = self.start() if after is None else after
        for batch in self.batches(edits, at.n_edits):
            result = self.apply_batch(batch, at)
            yield result
            if result.stopped:
                return
            at = result

    def edited(self, at: Snapshot, routers: tuple[RequestRouter, ...] = ()) -> EditedModel:
        """Returns the model with all edits of a snapshot, whatever their location.

        Args:
            at: The snapshot.
            routers: Routers that requests pass after the edits' own, such as a chat template.
        """
        return self.editor.edited(self.model, at.delta, at.state, routers)

    def _no_effect(self, outcome: EditOutcome[Any], after: Snapshot) -> str:
        """Returns why a batch has no effect, whatever its reports state; empty if it may have one."""
        if outcome.replaces or after.delta.is_changed_by(outcome.delta, self.model):
            return ""
        if self.editor.location == "weights":
            return NO_WEIGHT_CHANGED + (ALREADY_KNOWN if all(map(_known, outcome.reports)) else "")
        empty = outcome.state == after.state and outcome.state == self.initial_state
        return "the method keeps nothing of the edit" if empty else ""

    def _for_editor(self, edits: Sequence[Edit]) -> Sequence[Edit]:
        """Returns the edits without answers that are none, and in the chat template, if there is one.

        In-context methods get the plain prompts, because their router precedes that of the template.
        """
        template = self.template
        edits = without_control_answers(edits, self.model.tokenizer)
        if template is None or self.editor.location == "prompt":
            return edits
        return [edit.model_copy(update={"prompt": template.for_editor(edit.prompt)}) for edit in edits]


def replaced_within(batch: Sequence[Edit]) -> dict[str, str]:
    """Returns the edits of a batch that a later one replaces, each with the reason.

    The later one has the same question and another target. Applied together, both would be made by half;
    applied one by one, the last would hold.
    """
    last = {question_key(edit.question): edit for edit in batch}
    later = {edit.id: last[question_key(edit.question)] for edit in batch}
    return {
        edit.id: f"its question is edited again in this batch, by {later[edit.id].id}"
        for edit in batch
        if later[edit.id].target_new != edit.target_new
    }


NO_WEIGHT_CHANGED = "no weight was changed"
ALREADY_KNOWN = ": the model already predicts the target"
ALREADY_SAID = 0.1
"""The loss in nats per token below which a model predicts the target without the edit."""


def _without_effect(report: EditReport) -> EditReport:
    """Returns the report of an edit of weights, as dropped if no weight was changed."""
    if report.dropped or report.relative_norm != 0:
        return report
    known = ALREADY_KNOWN if _known(report) else ""
    return report.model_copy(update={"dropped": NO_WEIGHT_CHANGED + known})


def _known(report: EditReport) -> bool:
    """Returns whether the model predicted the target before the edit; False if no loss was computed."""
    return report.optimization_steps > 0 and report.first_loss < ALREADY_SAID
