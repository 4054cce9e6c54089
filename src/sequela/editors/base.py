"""The interface of editing methods: the editor, its resources, its state and its outcome."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import torch
from pydantic import BaseModel, ConfigDict, Field

from sequela.core.progress import SILENT, Progress
from sequela.edited import Delta, EditedModel
from sequela.edited.protocols import Intervention, RequestRouter
from sequela.editors.catalog_entry import Location, MethodInfo
from sequela.editors.read_texts import ReadText
from sequela.edits import Edit
from sequela.models import LanguageModel
from sequela.models.spans import BLANK
from sequela.results import EditReport as EditReport  # for methods, which import all they need from here
from sequela.statistics import CorpusSpec, Statistics
from sequela.store import Address, Store

State = TypeVar("State", bound="EditorState")
H = TypeVar("H", bound=BaseModel)


@dataclass(frozen=True)
class Resources:
    """The inputs of an editor besides the model and the edits.

    Args:
        statistics: Key statistics of the unedited model.
        contexts: Fixed context templates; None means the editor samples its own.
        seed: The seed of everything the editor draws at random.
        progress: Receives messages and progress.
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
        store: Store | None = None,
    ) -> Resources:
        """Returns resources with the statistics in the store.

        Args:
            model: The model without any edit applied.
            corpus: The text for key statistics; by default sampled from the model.
            progress: Receives messages and progress.
            contexts: Fixed context templates; None means the editor samples its own.
            seed: The seed of everything the editor draws at random.
            store: The store of the statistics; by default the one that `SEQUELA_STORE` names.
        """
        return cls(Statistics(model, corpus, progress=progress, store=store), contexts, seed, progress)


class EditorState(BaseModel):
    """The state that a method keeps from batch to batch: JSON fields and tensors.

    Args:
        tensors: The tensors, which may grow with the edits. They are saved separately from the JSON fields.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    tensors: dict[str, torch.Tensor] = Field(default_factory=dict, exclude=True, repr=False)

    @property
    def context_templates(self) -> tuple[str, ...]:
        """The contexts in which the method reads an edit's prompt with its target; `{}` is the bare one."""
        return (BLANK,)

    @classmethod
    def reads_in_contexts(cls) -> bool:
        """Returns whether the method reads edits in other contexts than the bare one."""
        return cls.context_templates is not EditorState.context_templates

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self) or self.model_dump() != other.model_dump():
            return False
        same = self.tensors.keys() == other.tensors.keys()
        return same and all(torch.equal(tensor, other.tensors[k]) for k, tensor in self.tensors.items())

    def __hash__(self) -> int:
        return hash((type(self), self.model_dump_json()))


class NoState(EditorState):
    """The state of a stateless method."""


@dataclass(frozen=True)
class EditOutcome(Generic[State]):
    """The result of editing one batch.

    Args:
        delta: The change of weights, relative to the model with all earlier edits applied.
        state: The editor's state after the batch.
        reports: A report for each edit, in order.
        replaces: True if `delta` replaces all earlier changes of weights; it is then relative to the
            unedited model.
    """

    delta: Delta
    state: State
    reports: tuple[EditReport, ...]
    replaces: bool = False


class Editor(abc.ABC, Generic[H, State]):
    """An editing method with its hyper-parameters.

    An editor never leaves the model changed: it returns the change of weights, and the caller applies it.
    Everything that it needs from one batch to the next is in its state, which can be serialized.

    Args:
        hyperparameters: The method's settings.
    """

    info: ClassVar[MethodInfo]
    """The method's name, settings and capabilities."""
    state_class: ClassVar[type[EditorState]] = NoState
    """The class of the method's state."""

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
        """The location of the method's edits: weights, activations or the prompt."""
        return self.info.location

    @property
    def settings(self) -> dict[str, Any]:
        """All settings as JSON values, from which `create_editor` recreates this editor."""
        return self.hyperparameters.model_dump(mode="json")

    def with_settings(self, settings: H) -> AnyEditor:
        """Returns the same method with other settings."""
        return type(self)(settings)

    @property
    def variant(self) -> str:
        """A label that distinguishes this configuration from others of the same method; may be empty."""
        return ""

    def layers_of(self, model: LanguageModel) -> tuple[int, ...]:
        """Returns the layers that the method will change, ascending; empty if unknown before editing."""
        return ()

    def revision(self, model: LanguageModel) -> str:
        """Returns what has changed in the method's results since the first version; mostly nothing.

        It is part of a trajectory's key: results before and after the change never mix.
        """
        return ""

    def further_texts(self, edit: Edit) -> tuple[ReadText, ...]:
        """Returns the texts of an edit that the method reads besides its prompt and new target; mostly none.

        An edit is dropped if one of them doesn't fit the model's context.
        """
        return ()

    def inputs(self, model: LanguageModel, state: State) -> Mapping[str, str]:
        """Returns the hashes of what the method has read besides the model and the edits; by default none.

        A run refuses to go on with other ones. Settings only name them: a network, a file of demonstrations.

        Args:
            model: The unedited model.
            state: A state of the method, such as the initial one.

        Returns:
            The hashes by kind, such as `network`.
        """
        return {}

    def used_objects(self, model: LanguageModel) -> frozenset[Address]:
        """Returns the objects of the store that the method has read, besides statistics; mostly none.

        A run registers them, so that nobody removes them as unused.
        """
        return frozenset()

    def lowest_block(self, model: LanguageModel) -> int:
        """Returns the index of the lowest block that the method may change; its input never changes."""
        return min(self.layers_of(model), default=0)

    @abc.abstractmethod
    def prepare(self, model: LanguageModel, resources: Resources) -> State:
        """Performs the one-time preparation on the unedited model and returns the initial state."""

    @abc.abstractmethod
    def edit(
        self, model: LanguageModel, edits: Sequence[Edit], state: State, resources: Resources
    ) -> EditOutcome[State]:
        """Computes the change of weights for a batch of edits.

        Args:
            model: The model with all earlier edits applied. Its weights are bit for bit the same afterwards.
            edits: The batch.
            state: The state after the previous batch.
            resources: The resources given to `prepare`.
        """

    def interventions(self, model: LanguageModel, state: State) -> tuple[Intervention, ...]:
        """Returns the interventions on activations that apply a state's edits; by default none."""
        return ()

    def routers(self, model: LanguageModel, state: State) -> tuple[RequestRouter, ...]:
        """Returns the routers that rewrite requests to apply a state's edits; by default none."""
        return ()

    def edited(
        self, model: LanguageModel, delta: Delta, state: State, routers: tuple[RequestRouter, ...] = ()
    ) -> EditedModel:
        """Returns the model with all edits so far, whatever their location.

        Args:
            model: The model without any edit applied.
            delta: The total change of weights so far.
            state: The state that belongs to `delta`.
            routers: Routers that requests pass after the edits' own, such as a chat template.
        """
        return EditedModel(
            model,
            self.finalize_delta(model, delta),
            self.interventions(model, state),
            (*self.routers(model, state), *routers),
        )

    def finalize_delta(self, model: LanguageModel, total: Delta) -> Delta:
        """Returns the change that is measured and saved; it differs from `total` only if regularized.

        Args:
            model: The model without any edit applied.
            total: The total change against the unedited model. The next batch builds on it, not on the
                returned change.
        """
        return total


AnyEditor = Editor[Any, Any]


def relative_norms(model: LanguageModel, delta: Delta) -> dict[str, float]:
    """Returns `||Delta|| / ||W||` of each changed weight by name, with W the model's current weight."""
    return {
        name: norm / float(model.weight(name).detach().double().norm())
        for name, norm in delta.norms().items()
    }
