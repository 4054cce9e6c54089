"""The base class of methods that apply one edit at a time."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Generic

from sequela.edited import Delta, EditedModel
from sequela.editors.base import Editor, EditOutcome, EditReport, H, Resources, State
from sequela.edits import Edit
from sequela.models import LanguageModel


class OneByOneEditor(Editor[H, State], Generic[H, State]):
    """A method whose formula is for a single edit.

    Several edits, which `MethodInfo.check_batch_size` rejects, are applied one after another, each to the
    model with the previous ones applied.
    """

    @abc.abstractmethod
    def edit_one(
        self, model: LanguageModel, edit: Edit, state: State, resources: Resources
    ) -> tuple[Delta, EditReport]:
        """Computes the change of weights for one edit.

        Args:
            model: The model with all earlier edits applied. Its weights are bit for bit the same afterwards.
            edit: The edit.
            state: The state, which edits don't change.
            resources: The resources given to `prepare`.

        Returns:
            The change and its report. The change is ignored if the report has `dropped`.
        """

    def edit(
        self, model: LanguageModel, edits: Sequence[Edit], state: State, resources: Resources
    ) -> EditOutcome[State]:
        """Computes the edits one after another, each on the model with the previous ones applied."""
        total = Delta.empty(model.fingerprint)
        reports: list[EditReport] = []
        for edit in edits:
            with EditedModel(model, total):
                change, report = self.edit_one(model, edit, state, resources)
            reports.append(report)
            if not report.dropped:
                total = total + change
        return EditOutcome(total, state, tuple(reports))
