"""Edits on disk, in whichever seats they sit: the change of weights, and what a method remembers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from sequela.deltas import Delta
from sequela.deltas.storage import load_delta, save_delta
from sequela.editors.editor import AnyEditor, EditorState
from sequela.editors.registry import create_editor
from sequela.ground.files import load_tensors, read_description_of, save_tensors, write_description
from sequela.models import EditedModel, LanguageModel
from sequela.models.seats import Intervention, RequestRouter

MEMORY = "memory.json"
STATE_TENSORS = "state.safetensors"


class MemoryDescription(BaseModel):
    """What `memory.json` says.

    Args:
        format: The version of this layout.
        editor: The method.
        settings: Its settings.
        state: What it remembers, without the tensors.
        tensors: The hash of those; empty if there are none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    editor: str
    settings: dict[str, Any]
    state: dict[str, Any]
    tensors: str = ""


@dataclass(frozen=True)
class SavedEdits:
    """Edits as they came back from a folder.

    Args:
        delta: The change of weights; empty for a method that changes none.
        interventions: What watches activations.
        routers: What rewrites requests.
    """

    delta: Delta
    interventions: tuple[Intervention, ...] = ()
    routers: tuple[RequestRouter, ...] = ()

    def on(self, model: LanguageModel, routers: tuple[RequestRouter, ...] = ()) -> EditedModel:
        """The model with these edits; `routers` are what requests pass after the edits' own."""
        return EditedModel(model, self.delta, self.interventions, (*self.routers, *routers))


def save_edits(
    folder: Path,
    model: LanguageModel,
    editor: AnyEditor,
    whole: Delta,
    state: EditorState,
    edits: tuple[str, ...] = (),
) -> None:
    """Writes edits into a folder.

    Args:
        folder: Where to.
        model: The model without any edit in force.
        editor: The method.
        whole: The whole change of weights as the method gives it out (`Editor.of_whole`).
        state: What the method remembers.
        edits: The ids of the edits.
    """
    save_delta(whole, folder, model, editor.name, edits)
    if editor.seat == "weights":
        (folder / MEMORY).unlink(missing_ok=True)
        return
    description = MemoryDescription(
        editor=editor.name,
        settings=editor.settings,
        state=state.model_dump(mode="json"),
        tensors=save_state_tensors(folder, state),
    )
    write_description(folder / MEMORY, description)


def load_edits(folder: Path, model: LanguageModel) -> SavedEdits:
    """Reads edits back for the model they were made for.

    Raises:
        BadInputError: The folder holds no edits.
        IntegrityError: The numbers are not the ones that were saved.
        FingerprintMismatchError: The model is another one.
    """
    delta = load_delta(folder, model)
    if not (folder / MEMORY).is_file():
        return SavedEdits(delta)
    told = read_description_of(folder / MEMORY, MemoryDescription, "memory of edits")
    editor = create_editor(told.editor, told.settings)
    state = load_state(folder, editor, told.state, told.tensors, model)
    return SavedEdits(delta, editor.interventions(model, state), editor.routers(model, state))


def save_state_tensors(folder: Path, state: EditorState) -> str:
    """Writes the numbers of a state, if it has any; returns their hash, empty if there are none."""
    return save_tensors(folder / STATE_TENSORS, state.tensors) if state.tensors else ""


def load_state(
    folder: Path, editor: AnyEditor, told: dict[str, Any], tensors: str, model: LanguageModel
) -> EditorState:
    """A method's state, its numbers on the model's device.

    Args:
        folder: Where the numbers are.
        editor: The method.
        told: The state without its numbers.
        tensors: Their hash; empty if there are none.
        model: The model.

    Raises:
        IntegrityError: The numbers are not the ones that were saved.
    """
    state = editor.state_class.model_validate(told)
    if not tensors:
        return state
    kept = load_tensors(folder / STATE_TENSORS, tensors)
    on_device = {name: tensor.to(model.device) for name, tensor in kept.items()}
    return state.model_copy(update={"tensors": on_device})
