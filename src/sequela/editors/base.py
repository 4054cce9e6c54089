"""What an editing method is, what it is given, and what it gives back."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import torch
from pydantic import BaseModel, ConfigDict, Field

from sequela.core.progress import SILENT, Progress
from sequela.edited import Delta, EditedModel
from sequela.edited.protocols import Intervention, RequestRouter
from sequela.editors.catalog_entry import Location, MethodInfo
from sequela.edits import Edit
from sequela.models import LanguageModel
from sequela.results import EditReport as EditReport  # for methods, which import all they need from here
from sequela.statistics import CorpusSpec, Statistics

State = TypeVar("State", bound="EditorState")
H = TypeVar("H", bound=BaseModel)


@dataclass(frozen=True)
class Resources:
    """What an editor may draw on besides the model.

    Args:
        statistics: Key statistics of the unedited model.
        contexts: Fixed context templates; None means the editor samples its own.
        seed: The seed of everything the editor draws.
        progress: Who is told.
    """

    statistics: Statistics
    contexts: tuple[str, ...] | None = None
    seed: int = 0
    progress: Progress = SILENT

    @classmethod
    def for_model(
        cls,
        model: LanguageModel,
        corpus: CorpusSpec | None = None,
        progress: Progress = SILENT,
        *,
        contexts: tuple[str, ...] | None = None,
        seed: int = 0,
    ) -> Resources:
        """Returns resources with the statistics in the user's cache.

        Args:
            model: The model without any edit in force.
            corpus: The text for key statistics; by default sampled from the model.
            progress: Receives messages and progress.
            contexts: Fixed context templates; None means the editor samples its own.
            seed: The seed of everything the editor draws.
        """
        return cls(Statistics(model, corpus, progress=progress), contexts, seed, progress)


class EditorState(BaseModel):
    """What a method remembers from batch to batch: fields that go to JSON, and tensors.

    Args:
        tensors: Numbers that grow with the edits; they are kept beside the JSON, not in it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    tensors: dict[str, torch.Tensor] = Field(default_factory=dict, exclude=True, repr=False)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self) or self.model_dump() != other.model_dump():
            return False
        same = self.tensors.keys() == other.tensors.keys()
        return same and all(torch.equal(tensor, other.tensors[k]) for k, tensor in self.tensors.items())

    def __hash__(self) -> int:
        return hash((type(self), self.model_dump_json()))


class NoState(EditorState):
    """The state of a method that remembers nothing."""


@dataclass(frozen=True)
class EditOutcome(Generic[State]):
    """What an editor did with a batch of edits.

    Args:
        delta: The change of weights, on top of what was in force.
        state: The editor's state after the batch.
        reports: How each edit went, in order.
        replaces: Whether the change is the whole one, in place of what was in force, and not on top of it.
    """

    delta: Delta
    state: State
    reports: tuple[EditReport, ...]
    replaces: bool = False


class Editor(abc.ABC, Generic[H, State]):
    """An editing method with its hyper-parameters.

    An editor never leaves the model changed: it returns what is to be changed, and whoever asked
    applies it. Whatever it must remember between batches is in its state, which is data.

    Args:
        hyperparameters: The method's settings.
    """

    info: ClassVar[MethodInfo]
    """The method's name, settings and what it can do."""
    state_class: ClassVar[type[EditorState]] = NoState
    """The class of its state."""

    def __init__(self, hyperparameters: H) -> None:
        self.hyperparameters = hyperparameters

    @property
    def name(self) -> str:
        """The method's name, as in a study file."""
        return self.info.name

    @property
    def method(self) -> str:
        """The method's name without regularizers."""
        return self.name

    @property
    def location(self) -> Location:
        """Where its edits sit."""
        return self.info.location

    @property
    def settings(self) -> dict[str, Any]:
        """All settings as JSON values: what `create_editor` makes this very method of."""
        return self.hyperparameters.model_dump(mode="json")

    def with_settings(self, settings: H) -> AnyEditor:
        """The same method with other settings."""
        return type(self)(settings)

    @property
    def variant(self) -> str:
        """What tells this configuration from others of the same method; empty if nothing does."""
        return ""

    def layers_of(self, model: LanguageModel) -> tuple[int, ...]:
        """The layers that the method will change, ascending; empty where that can't be told beforehand."""
        return ()

    def lowest_block(self, model: LanguageModel) -> int:
        """The lowest block that the method may change; what enters it stays as it is."""
        return min(self.layers_of(model), default=0)

    @abc.abstractmethod
    def prepare(self, model: LanguageModel, resources: Resources) -> State:
        """Does what is done once, on the unedited model; returns the first state."""

    @abc.abstractmethod
    def edit(
        self, model: LanguageModel, edits: Sequence[Edit], state: State, resources: Resources
    ) -> EditOutcome[State]:
        """Works out the change that makes a batch of edits.

        Args:
            model: The model with all earlier edits in force; the same bits afterwards.
            edits: The batch.
            state: The state after the batch before.
            resources: As given to `prepare`.
        """

    def interventions(self, model: LanguageModel, state: State) -> tuple[Intervention, ...]:
        """What watches activations once the edits of a state are in force; nothing, unless it sits there."""
        return ()

    def routers(self, model: LanguageModel, state: State) -> tuple[RequestRouter, ...]:
        """What rewrites requests once the edits of a state are in force; nothing, unless it sits there."""
        return ()

    def edited(
        self, model: LanguageModel, delta: Delta, state: State, routers: tuple[RequestRouter, ...] = ()
    ) -> EditedModel:
        """The model with all edits so far, in whichever seats they sit.

        Args:
            model: The model without any edit in force.
            delta: The whole change of weights so far.
            state: The state that came with it.
            routers: What requests pass after the edits' own, such as a chat template.
        """
        return EditedModel(
            model,
            self.finalize_delta(model, delta),
            self.interventions(model, state),
            (*self.routers(model, state), *routers),
        )

    def finalize_delta(self, model: LanguageModel, total: Delta) -> Delta:
        """What is measured and saved in place of the whole change so far: the same, unless regularized.

        Args:
            model: The model without any edit in force.
            total: The change against the base; the next batch is made on top of it, not of what is returned.
        """
        return total


AnyEditor = Editor[Any, Any]


def relative_norms(model: LanguageModel, delta: Delta) -> dict[str, float]:
    """`||Delta|| / ||W||` of each changed weight, W as it is now."""
    return {
        name: norm / float(model.module.get_parameter(name).detach().double().norm())
        for name, norm in delta.norms().items()
    }
