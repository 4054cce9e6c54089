"""Regularizers of editing methods: `memit+rect` is MEMIT with each batch's change regularized by RECT."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any, ClassVar, Generic, TypeVar

import torch
from pydantic import BaseModel

from sequela.core.precision import solve_dtype
from sequela.edited import Delta, Dense
from sequela.editors.base import AnyEditor, Editor, EditOutcome, Resources, relative_norms
from sequela.editors.catalog_entry import JOIN, RegularizerInfo, RegularizerSettings
from sequela.editors.read_texts import ReadText
from sequela.edits import Edit
from sequela.models import LanguageModel
from sequela.store import Address

R = TypeVar("R", bound=RegularizerSettings)


class Regularizer(Generic[R]):
    """The base class of regularizers, which limit a method's change of weights.

    A regularizer can act on the method itself, on the change of each batch, and on the total change when it
    is measured or saved. By default none of them is altered.

    Args:
        settings: The regularizer's settings.
    """

    info: ClassVar[RegularizerInfo]
    """The regularizer's name, its settings and the methods it can be combined with."""

    def __init__(self, settings: R) -> None:
        self.settings = settings

    def adapt_editor(self, editor: AnyEditor) -> AnyEditor:
        """Returns the method with this regularizer built into its formula; by default the method itself."""
        return editor

    def regularize_batch(self, model: LanguageModel, change: Delta) -> Delta:
        """Returns the regularized change of a batch; `model` has all earlier edits applied."""
        return change

    def finalize_delta(self, model: LanguageModel, total: Delta) -> Delta:
        """Returns the change that is measured and saved in place of `total`; `model` has no edit applied.

        Further edits build on `total`, not on the returned change.
        """
        return total


AnyRegularizer = Regularizer[Any]


class RegularizedEditor(Editor[Any, Any]):
    """A method with regularizers; settings and state are the method's own.

    Args:
        editor: The method.
        regularizers: The regularizers, in the order in which they act.

    Raises:
        BadInputError: A regularizer can't be combined with the method.
    """

    def __init__(self, editor: AnyEditor, regularizers: Sequence[AnyRegularizer]) -> None:
        self.regularizers = tuple(regularizers)
        for regularizer in self.regularizers:
            regularizer.info.check_fits(editor.info)
            editor = regularizer.adapt_editor(editor)
        self.editor = editor
        # Class attributes of other editors are instance attributes here: they depend on the method.
        names = [editor.name, *(regularizer.info.name for regularizer in self.regularizers)]
        self.info = dataclasses.replace(editor.info, name=JOIN.join(names))  # type: ignore[misc]
        self.state_class = editor.state_class  # type: ignore[misc]
        super().__init__(editor.hyperparameters)

    @property
    def method(self) -> str:
        """The method's name without regularizers."""
        return self.editor.method

    @property
    def settings(self) -> dict[str, Any]:
        """The method's settings, and those of each regularizer under its name."""
        own = {one.info.name: one.settings.model_dump(mode="json") for one in self.regularizers}
        return {**self.editor.settings, **own}

    @property
    def variant(self) -> str:
        """The method's variant label."""
        return self.editor.variant

    def with_settings(self, settings: BaseModel) -> AnyEditor:
        """Returns the same method and regularizers with other settings of the method."""
        return RegularizedEditor(self.editor.with_settings(settings), self.regularizers)

    def layers_of(self, model: LanguageModel) -> tuple[int, ...]:
        """Returns the layers that the method will change."""
        return self.editor.layers_of(model)

    def revision(self, model: LanguageModel) -> str:
        """Returns the method's revision."""
        return self.editor.revision(model)

    def further_texts(self, edit: Edit) -> tuple[ReadText, ...]:
        """Returns the further texts of an edit that the method reads."""
        return self.editor.further_texts(edit)

    def inputs(self, model: LanguageModel, state: Any) -> Mapping[str, str]:
        """Returns the hashes of what the method has read besides the model and the edits."""
        return self.editor.inputs(model, state)

    def used_objects(self, model: LanguageModel) -> frozenset[Address]:
        """Returns the objects of the store that the method has read, besides statistics."""
        return self.editor.used_objects(model)

    def prepare(self, model: LanguageModel, resources: Resources) -> Any:
        """Prepares the method and returns its initial state."""
        return self.editor.prepare(model, resources)

    def edit(
        self, model: LanguageModel, edits: Sequence[Edit], state: Any, resources: Resources
    ) -> EditOutcome[Any]:
        """Computes a batch's change and regularizes it; reports contain the norm after regularization."""
        outcome = self.editor.edit(model, edits, state, resources)
        change = outcome.delta
        # A change that replaces the earlier ones is relative to the unedited weights.
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
        """Returns the total change after all regularizers."""
        total = self.editor.finalize_delta(model, total)
        for regularizer in self.regularizers:
            total = regularizer.finalize_delta(model, total)
        return total


def weight_and_update(model: LanguageModel, name: str, delta: Delta) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns a weight's current value and its update, both `[out, in]` in the dtype of solves."""
    stored = model.weight(name).detach()
    weight = model.family.as_out_in(stored)
    return weight.to(solve_dtype(weight.device)), delta.updates[name].to_dense().to(weight.device)


def dense(values: torch.Tensor) -> Dense:
    """Returns a dense update with the given values, stored in fp32."""
    return Dense(values.float().contiguous())
