"""Saved edits in memory, whatever their location, and their description on disk."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
import transformers
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sequela.core.damaged_files import DAMAGED_HINT
from sequela.core.descriptions import is_unchanged
from sequela.core.errors import BadInputError, FingerprintMismatchError, IntegrityError
from sequela.core.validation import in_words
from sequela.edited import Delta, EditedModel
from sequela.edited.delta_storage import StoredDelta
from sequela.edited.protocols import Intervention, RequestRouter
from sequela.editors.base import AnyEditor, EditorState
from sequela.editors.registry import create_editor
from sequela.models import LanguageModel
from sequela.models.fingerprint import FingerprintParts

FORMAT: Literal[2] = 2
"""The version of the folder layout of saved edits."""


class MethodDescription(BaseModel):
    """The description of one method whose edits are in the folder.

    Args:
        name: The method with its regularizers; None if unknown.
        settings: The method's settings; empty if unknown, which is allowed for edits in weights.
        location: The location of its edits: `weights`, `activations` or `prompt`.
        edits: The ids of its edits.
        state: Its state without the tensors; None if not saved, because the weights are sufficient.
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
        base_fingerprint: The fingerprint of the model that the edits were computed for.
        base_name: The name of that model.
        base_dtype: The precision it was loaded in; empty if unknown.
        base_parts: The hashes of its weights, configuration and tokenizer; None if unknown.
        base_transformers: The version of transformers that loaded it; empty if unknown.
        delta: The change of weights to apply.
        methods: The methods, in the order in which their edits were applied.
        state_tensors: The hash of the tensors of the methods' states; empty if there are none.
        unregularized: The change that further edits build on; None if it is `delta`.
        ranks: In a checkpoint, the rank of each weight's change by name, by the number of edits.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[2] = FORMAT
    base_fingerprint: str
    base_name: str
    base_dtype: str = ""
    base_parts: FingerprintParts | None = None
    base_transformers: str = ""
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
    """The edits of one method.

    Args:
        description: The method, its settings and its edits; its `state` is set only if read from a folder.
        editor: The editor; None if its state is unknown.
        state: The editor's state; None if it isn't kept.
    """

    description: MethodDescription
    editor: AnyEditor | None = None
    state: EditorState | None = None

    @classmethod
    def of(
        cls, editor: AnyEditor, state: EditorState, edits: Sequence[str], resumable: bool = False
    ) -> MethodEdits:
        """Returns the edits of an editor.

        Args:
            editor: The editor.
            state: The editor's state.
            edits: The ids of the edits.
            resumable: True to keep the state even if the weights suffice, so that editing can continue.
        """
        described = MethodDescription(
            name=editor.name, settings=editor.settings, location=editor.location, edits=tuple(edits)
        )
        if editor.location == "weights" and not resumable:
            return cls(described)
        return cls(described, editor, state)

    def interventions(self, model: LanguageModel) -> tuple[Intervention, ...]:
        """Returns the interventions that apply the edits."""
        if self.editor is None or self.state is None:
            return ()
        return self.editor.interventions(model, self.state)

    def routers(self, model: LanguageModel) -> tuple[RequestRouter, ...]:
        """Returns the routers that apply the edits."""
        if self.editor is None or self.state is None:
            return ()
        return self.editor.routers(model, self.state)


@dataclass(frozen=True)
class SavedEdits:
    """Edits as they are saved to a folder and loaded from it, whatever their location.

    Args:
        delta: The change of weights to apply; empty for methods that change no weights.
        methods: The edits by method, in the order in which they were applied.
        unregularized: The change that further edits build on; None if it is `delta`.
        ranks: In a checkpoint, the rank of each weight's change by name, by the number of edits.
    """

    delta: Delta
    methods: tuple[MethodEdits, ...] = ()
    unregularized: Delta | None = None
    ranks: Mapping[int, Mapping[str, int]] = field(default_factory=dict)

    def on(self, model: LanguageModel, routers: tuple[RequestRouter, ...] = ()) -> EditedModel:
        """Returns the model with these edits; requests pass `routers` after the edits' own routers."""
        own = (router for one in reversed(self.methods) for router in one.routers(model))
        interventions = (item for one in self.methods for item in one.interventions(model))
        return EditedModel(model, self.delta, tuple(interventions), (*own, *routers))


def check_format(path: Path, known: int) -> None:
    """Rejects a description in a newer format; other problems are left to the code that reads it.

    Raises:
        BadInputError: The description was written by a newer version.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict) or not is_unchanged(content):
            return
    except (OSError, ValueError, RecursionError):
        return
    found = content.get("format")
    if isinstance(found, int) and found > known:
        raise BadInputError(
            f"The edits in {path.parent} were saved by a newer version of sequela: their format is {found}; "
            f"this version reads up to {known}.",
            hint="Update it: pip install --upgrade sequela",
        )


def check_base(description: EditsDescription, model: LanguageModel) -> None:
    """Rejects a model that the edits were not computed for.

    Raises:
        FingerprintMismatchError: The fingerprints differ. The message names both, and what differs: the
            precision, or else the weights, the configuration or the tokenizer, as far as it is known.
    """
    if description.base_fingerprint == model.fingerprint:
        return
    saved, loaded = description.base_dtype, str(model.dtype).removeprefix("torch.")
    expected = (
        f"The edits were computed for the model {description.base_fingerprint} ({description.base_name})"
    )
    if saved and saved != loaded:
        raise FingerprintMismatchError(
            f"{expected}, loaded in {saved}; {model.name!r}, loaded in {loaded}, is {model.fingerprint}.",
            hint=f"Load the model in {saved}, with --precision {saved}.",
        )
    parts = () if description.base_parts is None else description.base_parts.differing(model.parts)
    which = f"; they differ in {', '.join(parts)}" if parts else ""
    hint = "Load the model that the edits were computed for."
    used = description.base_transformers
    if parts and "weights" not in parts and used not in ("", transformers.__version__):
        hint = (
            f"The weights are the same. They were loaded by transformers {used}, and now by "
            f"{transformers.__version__}, which may read configuration and tokenizer in another way. Use the "
            f"earlier version: pip install transformers=={used}"
        )
    raise FingerprintMismatchError(f"{expected}; {model.name!r} is {model.fingerprint}{which}.", hint=hint)


def restored(
    folder: Path,
    described: MethodDescription,
    tensors: Mapping[str, torch.Tensor],
    model: LanguageModel,
    editor: AnyEditor | None = None,
) -> MethodEdits:
    """Restores a method's edits with its state, the tensors on the model's device.

    Args:
        folder: The folder with the saved edits, for messages.
        described: The method, its settings and its state.
        tensors: The tensors of the state.
        model: The model.
        editor: The editor, if known; otherwise it is created from its settings.

    Raises:
        IntegrityError: The state is missing or invalid for the method.
        UnknownNameError: The method belongs to a plug-in that isn't installed.
    """
    if described.state is None or described.name is None:
        raise IntegrityError(
            f"The edits in {folder} are incomplete: the state of {described.name or 'the method'} is "
            "missing, and without it they can't be applied.",
            hint=DAMAGED_HINT,
        )
    used_editor = editor or create_editor(described.name, described.settings)
    try:
        state = used_editor.state_class.model_validate(described.state)
    except ValidationError as error:
        raise IntegrityError(
            f"The state in {folder} is invalid for {described.name}: {in_words(error)}.", hint=DAMAGED_HINT
        ) from error
    if tensors:
        on_device = {name: tensor.to(model.device) for name, tensor in tensors.items()}
        state = state.model_copy(update={"tensors": on_device})
    return MethodEdits(described, used_editor, state)
