"""Regularizers of editing methods: `memit+rect` is MEMIT with each batch's change regularized by RECT."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, ClassVar, Generic, TypeVar

import torch
from pydantic import BaseModel

from sequela.core.precision import solve_dtype
from sequela.edited import Delta, Dense
from sequela.editors.base import AnyEditor, Editor, EditOutcome, Resources, relative_norms
from sequela.editors.catalog_entry import JOIN, RegularizerInfo, RegularizerSettings
from sequela.edits import Edit
from sequela.models import LanguageModel

R = TypeVar("R", bound=RegularizerSettings)


class Regularizer(Generic[R]):
    """Something that keeps an edit from doing too much.

    It can act in three places, and does nothing where it doesn't say: on the method itself, on the change
    of each batch, and on the whole change where it is measured or saved.

    Args:
        settings: Its settings.
    """

    info: ClassVar[RegularizerInfo]
    """The regularizer's name, settings and the methods it goes with."""

    def __init__(self, settings: R) -> None:
        self.settings = settings

    def adapt_editor(self, editor: AnyEditor) -> AnyEditor:
        """The method that takes this regularizer into its own formula, which has a place for it."""
        return editor

    def regularize_batch(self, model: LanguageModel, change: Delta) -> Delta:
        """What is made of a batch's change; the model has everything before it in force."""
        return change

    def finalize_delta(self, model: LanguageModel, total: Delta) -> Delta:
        """What is measured and saved in place of the whole change; the model has none in force.

        The trajectory itself goes on from the whole change.
        """
        return total


AnyRegularizer = Regularizer[Any]


class RegularizedEditor(Editor[Any, Any]):
    """A method with regularizers; settings and state are the method's own.

    Args:
        editor: The method.
        regularizers: What holds it back, in order.

    Raises:
        BadInputError: A regularizer can't be used on this method.
    """

    def __init__(self, editor: AnyEditor, regularizers: Sequence[AnyRegularizer]) -> None:
        self.regularizers = tuple(regularizers)
        for regularizer in self.regularizers:
            regularizer.info.check_fits(editor.info)
            editor = regularizer.adapt_editor(editor)
        self.editor = editor
        # What the class says of a method, this one says of itself.
        names = [editor.name, *(regularizer.info.name for regularizer in self.regularizers)]
        self.info = dataclasses.replace(editor.info, name=JOIN.join(names))  # type: ignore[misc]
        self.state_class = editor.state_class  # type: ignore[misc]
        super().__init__(editor.hyperparameters)

    @property
    def method(self) -> str:
        """The method's name alone."""
        return self.editor.method

    @property
    def settings(self) -> dict[str, Any]:
        """The method's settings, and those of each regularizer under its name."""
        own = {one.info.name: one.settings.model_dump(mode="json") for one in self.regularizers}
        return {**self.editor.settings, **own}

    @property
    def variant(self) -> str:
        """The method's."""
        return self.editor.variant

    def with_settings(self, settings: BaseModel) -> AnyEditor:
        """The same method and regularizers with other settings of the method."""
        return RegularizedEditor(self.editor.with_settings(settings), self.regularizers)

    def layers_of(self, model: LanguageModel) -> tuple[int, ...]:
        """The method's."""
        return self.editor.layers_of(model)

    def prepare(self, model: LanguageModel, resources: Resources) -> Any:
        """The method's first state."""
        return self.editor.prepare(model, resources)

    def edit(
        self, model: LanguageModel, edits: Sequence[Edit], state: Any, resources: Resources
    ) -> EditOutcome[Any]:
        """Makes the batch and regularizes its change; reports tell the norm that remains."""
        outcome = self.editor.edit(model, edits, state, resources)
        change = outcome.delta
        # A change in place of the earlier ones is one of the unedited weights.
        with model.unedited() if outcome.replaces else nullcontext():
            for regularizer in self.regularizers:
                change = regularizer.regularize_batch(model, change)
            norm = max(relative_norms(model, change).values(), default=0.0)
        reports = tuple(
            report if report.dropped else report.model_copy(update={"relative_norm": norm})
            for report in outcome.reports
        )
        return dataclasses.replace(outcome, delta=change, reports=reports)

    def finalize_delta(self, model: LanguageModel, total: Delta) -> Delta:
        """The whole change as the regularizers leave it."""
        total = self.editor.finalize_delta(model, total)
        for regularizer in self.regularizers:
            total = regularizer.finalize_delta(model, total)
        return total


def weight_and_update(model: LanguageModel, name: str, delta: Delta) -> tuple[torch.Tensor, torch.Tensor]:
    """A weight as it is now and its update, both `[out, in]` in the dtype of solves."""
    stored = model.module.get_parameter(name).detach()
    weight = model.family.as_out_in(stored)
    return weight.to(solve_dtype(weight.device)), delta.updates[name].to_dense().to(weight.device)


def dense(values: torch.Tensor) -> Dense:
    """An update given entry by entry, as it is kept."""
    return Dense(values.float().contiguous())
