"""Methods that make one edit at a time."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Generic

from sequela.edited import Delta, EditedModel
from sequela.editors.base import Editor, EditOutcome, EditReport, H, Resources, State
from sequela.edits import Edit
from sequela.models import LanguageModel


class OneByOneEditor(Editor[H, State], Generic[H, State]):
    """A method whose formula knows one edit only.

    Asked for several, as nobody does who checks the batch size first, it makes them one after the
    other, each on the model the one before left.
    """

    @abc.abstractmethod
    def edit_one(
        self, model: LanguageModel, edit: Edit, state: State, resources: Resources
    ) -> tuple[Delta, EditReport]:
        """Works out the change that makes one edit.

        Args:
            model: The model with all earlier edits in force; the same bits afterwards.
            edit: The edit.
            state: The state; such methods remember nothing of their edits.
            resources: As given to `prepare`.

        Returns:
            The change, and how it went; the change is left out if the report says `dropped`.
        """

    def edit(
        self, model: LanguageModel, edits: Sequence[Edit], state: State, resources: Resources
    ) -> EditOutcome[State]:
        """Makes the edits one after the other, each on the model the one before left."""
        total = Delta.empty(model.fingerprint)
        reports: list[EditReport] = []
        for edit in edits:
            with EditedModel(model, total):
                change, report = self.edit_one(model, edit, state, resources)
            reports.append(report)
            if not report.dropped:
                total = total + change
        return EditOutcome(total, state, tuple(reports))
