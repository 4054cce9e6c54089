"""A trajectory: one model, one method, one order of edits, made batch by batch."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sequela.core.hashing import hash_json
from sequela.edited import Delta
from sequela.edited.chat_template import ChatTemplate
from sequela.edited.protocols import RequestRouter
from sequela.editors import AnyEditor, BadEditPolicy, EditorState, EditReport, Resources
from sequela.editors.session import edit_batch
from sequela.edits import Edit, EditSet
from sequela.evaluation.edit_quality.measure import SUCCESS_AT_EDIT, Answers, measure_edits
from sequela.evaluation.edit_quality.probes import EditQualitySettings
from sequela.inference import Engine
from sequela.models import LanguageModel
from sequela.results import EditRecord, ItemRecord, Labels, method_label
from sequela.studies.checkpoints import Checkpoint


@dataclass(frozen=True)
class Trajectory:
    """What is edited, how, and in which order.

    Args:
        model: The base.
        editor: The method.
        edits: The edits in their order.
        order_seed: The seed of that order.
        batch_size: Edits made together.
        seed: The seed of what the editor draws.
        statistics: The key of the statistics the editor uses.
        policy: What follows a bad edit.
        edit_template: The chat template in which the editor is given the edits, if it is.
        template: How measurements of it are asked, for their labels.
    """

    model: LanguageModel
    editor: AnyEditor
    edits: EditSet
    order_seed: int
    batch_size: int
    seed: int
    statistics: str
    policy: BadEditPolicy = field(default_factory=BadEditPolicy)
    edit_template: ChatTemplate | None = None
    template: str = "none"

    @property
    def key(self) -> str:
        """A hash of everything that decides what the edited model becomes, and of the order's seed.

        Two seeds may shuffle a few edits into one order; they are two trajectories still.
        """
        template = {} if self.edit_template is None else {"edit_template": self.edit_template.content_hash}
        return hash_json(
            {
                **template,
                "model": self.model.fingerprint,
                "editor": self.editor.name,
                "settings": self.editor.settings,
                "edits": self.edits.content_hash,
                "order_seed": self.order_seed,
                "batch_size": self.batch_size,
                "seed": self.seed,
                "statistics": self.statistics,
                "on_bad_edit": self.policy.model_dump(mode="json"),
            }
        )

    @property
    def variant(self) -> str:
        """What tells its results from others of the same method: the method's variant, and its batches.

        The same edits one by one, ten by ten or all at once are three trajectories.
        """
        batches = f"batches of {self.batch_size}" if self.batch_size > 1 else ""
        return ", ".join(part for part in (self.editor.variant, batches) if part)

    @property
    def label(self) -> str:
        """The method and its variant, as in tables and legends."""
        return method_label(self.editor.name, self.variant)

    def labels(self, n_edits: int) -> Labels:
        """What measurements of it after so many edits are labeled with."""
        return Labels(
            model=self.model.name,
            editor=self.editor.name,
            variant=self.variant,
            edit_source=self.edits.name,
            order_seed=self.order_seed,
            n_edits=n_edits,
            edit_template="none" if self.edit_template is None else "chat",
            template=self.template,
        )

    def for_editor(self, edits: Sequence[Edit]) -> Sequence[Edit]:
        """The edits as the editor is given them.

        An editor that sits in front of requests sees these without a template: it comes behind.
        """
        template = self.edit_template
        if template is None or self.editor.seat == "requests":
            return edits
        return [edit.model_copy(update={"prompt": template.rewrite(edit.prompt)}) for edit in edits]

    def batches(self, start: int, stop: int) -> Iterator[tuple[int, Sequence[Edit]]]:
        """The batches of edits `start` to `stop`, each with the number of its first edit."""
        for first in range(start, stop, self.batch_size):
            yield first, self.edits[first : min(first + self.batch_size, stop)]


@dataclass(frozen=True)
class BatchResult:
    """What came of one batch.

    Args:
        delta: The whole change so far.
        state: The editor's state.
        records: One record per edit.
        seconds: Wall-clock time of the editing alone.
        stopped: Why the trajectory ends here; empty if it goes on.
    """

    delta: Delta
    state: EditorState
    records: tuple[EditRecord, ...]
    seconds: float
    stopped: str = ""


def make_batch(
    trajectory: Trajectory,
    before: Checkpoint,
    edits: Sequence[Edit],
    first: int,
    resources: Resources,
    engine: Engine,
    settings: EditQualitySettings,
    answers: Answers,
    routers: tuple[RequestRouter, ...] = (),
) -> BatchResult:
    """Makes one batch of edits on top of a checkpoint and measures it at once (`success@edit`).

    Args:
        trajectory: What is being followed.
        before: The state of things.
        edits: The batch.
        first: The number of its first edit, from 0.
        resources: What the editor may draw on.
        engine: Runs the model for the measurement.
        settings: How edit quality is measured.
        answers: What the unedited model said to neighborhood prompts.
        routers: What the questions pass, such as a chat template.
    """
    model = trajectory.model
    started = time.perf_counter()
    step = edit_batch(
        trajectory.editor,
        model,
        trajectory.for_editor(edits),
        before.delta,
        before.state,
        resources,
        trajectory.policy,
    )
    seconds = time.perf_counter() - started
    edited = trajectory.editor.edited(model, step.delta, step.state, routers)
    items = measure_edits(edited, engine, edits, SUCCESS_AT_EDIT, settings, answers)
    by_edit = {edit.id: [item for item in items if item.item == edit.id] for edit in edits}
    records = tuple(
        _record(trajectory, edit, report, first + offset, seconds / len(edits), by_edit[edit.id])
        for offset, (edit, report) in enumerate(zip(edits, step.reports, strict=True))
    )
    return BatchResult(step.delta, step.state, records, seconds, step.stopped)


def _record(
    trajectory: Trajectory,
    edit: Edit,
    report: EditReport,
    number: int,
    seconds: float,
    success: Sequence[ItemRecord],
) -> EditRecord:
    return EditRecord(
        **report.model_dump(),
        trajectory=trajectory.key,
        model=trajectory.model.name,
        editor=trajectory.editor.name,
        variant=trajectory.variant,
        edit_source=trajectory.edits.name,
        order_seed=trajectory.order_seed,
        position=number + 1,
        batch=number // trajectory.batch_size + 1,
        prompt=edit.question,
        target_new=edit.target_new,
        target_true=edit.target_true,
        seconds=seconds,
        success=tuple(success),
    )
