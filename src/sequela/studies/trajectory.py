"""Trajectories: one model, one method and one order of edits, or of a sample, applied batch by batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sequela.core.hashing import hash_json
from sequela.editors import EditReport
from sequela.editors.session import BatchResult, EditSession, replaced_within
from sequela.edits import Edit, EditSet, Questions
from sequela.results import EditRecord, ItemRecord, Labels, method_label


@dataclass(frozen=True)
class Trajectory:
    """An edit session with an order of edits, which labels its results.

    Args:
        session: The edit session: the model, the method and its settings.
        edits: The edits in order.
        order_seed: The shuffle seed of the order.
        template: The labels of the template of evaluation prompts, as `template_labels` returns them.
        text_rules: The version of the rules by which the texts of the edits are joined and tokenized.
        edit_sample: The sample that the edits are; None if the study has no samples.
    """

    session: EditSession
    edits: EditSet
    order_seed: int
    template: Mapping[str, Any] = field(default_factory=dict, hash=False)
    text_rules: int = 1
    edit_sample: int | None = None

    @property
    def key(self) -> str:
        """A hash of everything that determines the edited model, of the sample and of the shuffle seed.

        Two seeds may shuffle a few edits into the same order, and two samples of a few edits may be the same;
        they still identify two trajectories.
        """
        session = self.session
        template = {} if session.template is None else {"edit_template": session.template.edits_hash}
        rules = {} if self.text_rules == 1 else {"texts": self.text_rules}
        sample = {} if self.edit_sample is None else {"edit_sample": self.edit_sample}
        replaced = any(map(replaced_within, session.batches(self.edits)))
        revision = session.editor.revision(session.model)
        return hash_json(
            {
                **template,
                **rules,
                **sample,
                **({"revision": revision} if revision else {}),
                **({"near the context limit": True} if self.reads_near_limit else {}),
                **({"replaced within batches": True} if replaced else {}),
                "model": session.model.fingerprint,
                "editor": session.editor.name,
                "settings": session.editor.settings,
                "edits": self.edits.content_hash,
                "order_seed": self.order_seed,
                "batch_size": session.batch_size,
                "seed": session.resources.seed,
                "statistics": session.resources.statistics.key,
                "on_bad_edit": session.policy.model_dump(mode="json"),
            }
        )

    @cached_property
    def reads_near_limit(self) -> bool:
        """True if the method may not be able to read a text of the edits that an earlier version read."""
        return self.session.reads_near_limit(self.edits)

    @cached_property
    def questions(self) -> Questions:
        """The questions of the edits, which determine the edits in force at each checkpoint."""
        return Questions(self.edits)

    @property
    def variant(self) -> str:
        """The method's variant and the batch size, which distinguish results of the same method.

        The same edits applied one at a time, in batches of ten, or all at once form three trajectories.
        """
        size = self.session.batch_size
        batches = f"batches of {size}" if size > 1 else ""
        return ", ".join(part for part in (self.session.editor.variant, batches) if part)

    @property
    def label(self) -> str:
        """The method and its variant, as in tables and legends."""
        return method_label(self.session.editor.name, self.variant)

    def labels(self, n_edits: int) -> Labels:
        """Returns the labels of measurements after a number of edits."""
        session_template = self.session.template
        return Labels(
            model=self.session.model.name,
            editor=self.session.editor.name,
            variant=self.variant,
            edit_source=self.edits.name,
            order_seed=self.order_seed,
            edit_sample=self.edit_sample,
            n_edits=n_edits,
            edit_template="none" if session_template is None else "chat",
            edit_template_args={} if session_template is None else dict(session_template.arguments),
            **self.template,
        )

    def records(self, result: BatchResult, items: Sequence[ItemRecord]) -> tuple[EditRecord, ...]:
        """Returns a record for each edit of a batch.

        Args:
            result: The batch.
            items: The items measured right after it (`success@edit`).
        """
        first = result.n_edits - len(result.edits)
        return tuple(
            self._record(
                edit,
                report,
                position,
                result.seconds / len(result.edits),
                tuple(item for item in items if item.item == edit.id),
            )
            for position, (edit, report) in enumerate(
                zip(result.edits, result.reports, strict=True), start=first + 1
            )
        )

    def _record(
        self,
        edit: Edit,
        report: EditReport,
        position: int,
        seconds: float,
        success: tuple[ItemRecord, ...],
    ) -> EditRecord:
        return EditRecord(
            **report.model_dump(),
            trajectory=self.key,
            model=self.session.model.name,
            editor=self.session.editor.name,
            variant=self.variant,
            edit_source=self.edits.name,
            order_seed=self.order_seed,
            edit_sample=self.edit_sample,
            position=position,
            batch=(position - 1) // self.session.batch_size + 1,
            prompt=edit.question,
            target_new=edit.target_new,
            target_true=edit.target_true,
            seconds=seconds,
            success=success,
        )
