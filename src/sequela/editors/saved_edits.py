"""Edits in whichever places they are, as they go into a folder and come back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sequela.core.errors import BadInputError, FingerprintMismatchError, IntegrityError
from sequela.edited import Delta, EditedModel
from sequela.edited.delta_storage import StoredDelta
from sequela.edited.protocols import Intervention, RequestRouter
from sequela.editors.base import AnyEditor, EditorState
from sequela.editors.registry import create_editor
from sequela.models import LanguageModel

FORMAT: Literal[2] = 2
"""The version of the layout of folders with saved edits."""


class MethodDescription(BaseModel):
    """One method whose edits are in the folder.

    Args:
        name: The method with its regularizers; None if that isn't known.
        settings: Its settings; empty if they aren't known, and for edits in weights they needn't be.
        location: Where its edits are: `weights`, `activations` or `prompt`.
        edits: The ids of its edits.
        state: What it remembers, without the tensors; None where it isn't kept, since the weights say all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str | None
    settings: dict[str, Any] = Field(default_factory=dict)
    location: str = "weights"
    edits: tuple[str, ...] = ()
    state: dict[str, Any] | None = None


class EditsDescription(BaseModel):
    """The content of `edits.json`.

    Args:
        format: The version of this layout.
        base_fingerprint: The model the edits were made for.
        base_name: What that model was called.
        base_dtype: The precision it was loaded in; empty if that isn't known.
        delta: The change of weights in force.
        methods: The methods, in the order in which their edits were made.
        state_tensors: The hash of the tensors of the methods' states; empty if there are none.
        unregularized: The change that further edits are made on top of, where it is another one.
        ranks: In a checkpoint, the rank of every weight's change after earlier edits.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[2] = FORMAT
    base_fingerprint: str
    base_name: str
    base_dtype: str = ""
    delta: StoredDelta
    methods: tuple[MethodDescription, ...]
    state_tensors: str = ""
    unregularized: StoredDelta | None = None
    ranks: dict[int, dict[str, int]] = Field(default_factory=dict)

    @property
    def edits(self) -> tuple[str, ...]:
        """The ids of all edits."""
        return tuple(edit for method in self.methods for edit in method.edits)

    @property
    def method(self) -> str | None:
        """The methods' names, joined; None if they aren't known."""
        return ", ".join(one.name for one in self.methods if one.name) or None


@dataclass(frozen=True)
class MethodEdits:
    """The edits that one method made.

    Args:
        description: The method, its settings and its edits; `state` in it is only that of a folder.
        editor: The method itself, where its state is known.
        state: What it remembers; None where that isn't kept.
    """

    description: MethodDescription
    editor: AnyEditor | None = None
    state: EditorState | None = None

    @classmethod
    def of(
        cls, editor: AnyEditor, state: EditorState, edits: Sequence[str], to_go_on: bool = False
    ) -> MethodEdits:
        """The edits of a method.

        Args:
            editor: The method.
            state: What it remembers.
            edits: The ids of the edits.
            to_go_on: Whether the state is kept also where the weights say all, to make further edits.
        """
        described = MethodDescription(
            name=editor.name, settings=editor.settings, location=editor.location, edits=tuple(edits)
        )
        if editor.location == "weights" and not to_go_on:
            return cls(described)
        return cls(described, editor, state)

    def interventions(self, model: LanguageModel) -> tuple[Intervention, ...]:
        """The interventions that put its edits in force."""
        if self.editor is None or self.state is None:
            return ()
        return self.editor.interventions(model, self.state)

    def routers(self, model: LanguageModel) -> tuple[RequestRouter, ...]:
        """The routers that put its edits in force."""
        if self.editor is None or self.state is None:
            return ()
        return self.editor.routers(model, self.state)


@dataclass(frozen=True)
class SavedEdits:
    """Edits in whichever places they are, as they go into a folder and come back.

    Args:
        delta: The change of weights in force; empty for methods that change none.
        methods: The methods, in the order in which their edits were made.
        unregularized: The change that further edits are made on top of; None if it is `delta`.
        ranks: In a checkpoint, the rank of every weight's change after earlier edits.
    """

    delta: Delta
    methods: tuple[MethodEdits, ...] = ()
    unregularized: Delta | None = None
    ranks: Mapping[int, Mapping[str, int]] = field(default_factory=dict)

    def on(self, model: LanguageModel, routers: tuple[RequestRouter, ...] = ()) -> EditedModel:
        """The model with these edits; requests pass `routers` after the edits' own."""
        own = (router for one in reversed(self.methods) for router in one.routers(model))
        interventions = (seat for one in self.methods for seat in one.interventions(model))
        return EditedModel(model, self.delta, tuple(interventions), (*own, *routers))


def check_format(path: Path, known: int) -> None:
    """Refuses the description of a newer format; whatever else is wrong is left to its reader.

    Raises:
        BadInputError: It was written by a newer version.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    found = content.get("format") if isinstance(content, dict) else None
    if isinstance(found, int) and found > known:
        raise BadInputError(
            f"The edits in {path.parent} were saved by a newer version of sequela: their format is {found}; "
            f"this version reads up to {known}.",
            hint="Update it: pip install --upgrade sequela",
        )


def check_base(description: EditsDescription, model: LanguageModel) -> None:
    """Refuses a model that the edits were not made for.

    Raises:
        FingerprintMismatchError: With both fingerprints, and with both precisions if these differ.
    """
    if description.base_fingerprint == model.fingerprint:
        return
    made, now = description.base_dtype, str(model.dtype).removeprefix("torch.")
    told = f"The edits were made for the model {description.base_fingerprint} ({description.base_name})"
    if made and made != now:
        raise FingerprintMismatchError(
            f"{told}, loaded in {made}; {model.name!r}, loaded in {now}, is {model.fingerprint}.",
            hint=f"Load the model in {made}, with --precision {made}.",
        )
    raise FingerprintMismatchError(
        f"{told}; {model.name!r} is {model.fingerprint}.", hint="Load the model that the edits were made for."
    )


def restored(
    folder: Path,
    described: MethodDescription,
    tensors: Mapping[str, torch.Tensor],
    model: LanguageModel,
    editor: AnyEditor | None = None,
) -> MethodEdits:
    """A method with its state, the tensors on the model's device.

    Args:
        folder: Where it was saved, for messages.
        described: The method, its settings and its state.
        tensors: The tensors of the state.
        model: The model.
        editor: The method itself, where it is known; else it is made of its settings.

    Raises:
        IntegrityError: The state is missing, or not one of the method.
        UnknownNameError: The method is that of a plug-in which isn't installed.
    """
    if described.state is None or described.name is None:
        raise IntegrityError(
            f"The edits in {folder} are not whole: the state of {described.name or 'the method'} is missing, "
            "and without it they can't be put in force."
        )
    made = editor or create_editor(described.name, described.settings)
    try:
        state = made.state_class.model_validate(described.state)
    except ValidationError as error:
        raise IntegrityError(f"The state in {folder} is not one of {described.name}: {error}") from error
    if tensors:
        on_device = {name: tensor.to(model.device) for name, tensor in tensors.items()}
        state = state.model_copy(update={"tensors": on_device})
    return MethodEdits(described, made, state)
