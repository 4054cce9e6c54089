"""Reads saved edits of earlier versions (format 1), which had two layouts.

`sequela edit --output` wrote `delta.json`, and also `memory.json` for methods that change no weights.
A run's checkpoint had `delta.json` and `state.json`. The method's settings were only in the run's manifest,
and the change of weights was the one that further edits build on, before any regularizer of the total change.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sequela.core.damaged_files import DAMAGED_HINT
from sequela.core.descriptions import read_description_of
from sequela.core.errors import BadInputError, IntegrityError, UnknownNameError
from sequela.core.files import load_tensors
from sequela.edited.delta_storage import StoredDelta, restore_delta
from sequela.editors.base import AnyEditor
from sequela.editors.catalog import JOIN
from sequela.editors.presets import with_preset
from sequela.editors.registry import create_editor, method_info
from sequela.editors.saved_edits import (
    EditsDescription,
    MethodDescription,
    MethodEdits,
    SavedEdits,
    check_format,
    restored,
)
from sequela.models import LanguageModel
from sequela.results import open_store, read_manifest

DELTA_FILE = "delta.json"
MEMORY_FILE = "memory.json"
STATE_FILE = "state.json"
DESCRIPTIONS = (DELTA_FILE, MEMORY_FILE, STATE_FILE)
_DELTA_TENSORS = "delta.safetensors"
_STATE_TENSORS = "state.safetensors"


class _DeltaFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    base_fingerprint: str
    base_name: str
    content_hash: str
    weights: dict[str, str]
    method: str | None = None
    edits: tuple[str, ...] = ()


class _MemoryFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    editor: str
    settings: dict[str, Any]
    state: dict[str, Any]
    tensors: str = ""


class _StateFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    delta: str
    state: dict[str, Any]
    tensors: str
    ranks: dict[int, dict[str, int]] = Field(default_factory=dict)


def holds_edits(folder: Path) -> bool:
    """Returns whether a folder holds edits in one of the two layouts."""
    return (folder / DELTA_FILE).is_file()


def read_description(folder: Path) -> EditsDescription:
    """Returns the description of a folder's edits in the current format; a checkpoint's has no settings.

    Raises:
        BadInputError: A file doesn't have the expected format.
        IntegrityError: A part is missing, or the parts don't belong together.
        UnknownNameError: The method is needed, and belongs to a plug-in that isn't installed.
    """
    check_format(folder / DELTA_FILE, 1)
    delta = read_description_of(folder / DELTA_FILE, _DeltaFile, "saved edits")
    location = _location_of(delta)
    method = MethodDescription(name=delta.method, location=location, edits=delta.edits)
    tensors = ""
    ranks: dict[int, dict[str, int]] = {}
    if (folder / MEMORY_FILE).is_file():
        memory = read_description_of(folder / MEMORY_FILE, _MemoryFile, "saved edits")
        update = {"name": memory.editor, "settings": memory.settings, "state": memory.state}
        method, tensors = method.model_copy(update=update), memory.tensors
    elif (folder / STATE_FILE).is_file():
        kept = read_description_of(folder / STATE_FILE, _StateFile, "saved edits")
        if kept.delta != delta.content_hash:
            raise IntegrityError(
                f"The delta and the state in {folder} belong to different checkpoints.", hint=DAMAGED_HINT
            )
        method, tensors, ranks = method.model_copy(update={"state": kept.state}), kept.tensors, kept.ranks
    elif location != "weights":
        raise IntegrityError(
            f"The edits in {folder} are incomplete: {delta.method} keeps them in {MEMORY_FILE} or "
            f"{STATE_FILE}, and both files are missing.",
            hint=DAMAGED_HINT,
        )
    return EditsDescription(
        base_fingerprint=delta.base_fingerprint,
        base_name=delta.base_name,
        delta=StoredDelta(content_hash=delta.content_hash, weights=delta.weights),
        methods=(method,),
        state_tensors=tensors,
        ranks=ranks,
    )


def load_former_edits(
    folder: Path, description: EditsDescription, model: LanguageModel, editor: AnyEditor | None
) -> SavedEdits:
    """Loads edits of an earlier version; see `storage.load_saved_edits`.

    Args:
        folder: The folder.
        description: The description from `read_description`.
        model: The model that the edits were computed for.
        editor: The method that will apply further edits, if any.

    Raises:
        IntegrityError: A part is missing, or the tensors differ from those that were saved.
        BadInputError: A checkpoint's settings can't be found in its run.
    """
    (method,) = description.methods
    checkpoint = method.state is not None and not (folder / MEMORY_FILE).is_file()
    delta = restore_delta(folder / _DELTA_TENSORS, description.delta, model)
    needs_method = method.location != "weights" or (checkpoint and JOIN in (method.name or ""))
    if editor is None and not needs_method:
        return SavedEdits(delta, (MethodEdits(method),))
    used_editor = editor
    if used_editor is None:
        used_editor = _editor_of_run(folder, method, model) if checkpoint else None
    tensors = {}
    if description.state_tensors:
        tensors = load_tensors(folder / _STATE_TENSORS, description.state_tensors)
    if used_editor is not None:
        method = method.model_copy(update={"name": used_editor.name, "settings": used_editor.settings})
    edits = restored(folder, method, tensors, model, used_editor)
    if not checkpoint or edits.editor is None:
        return SavedEdits(delta, (edits,), ranks=description.ranks)
    final_delta = edits.editor.finalize_delta(model, delta)
    if editor is None and method.location == "weights":
        edits = MethodEdits(method.model_copy(update={"state": None}))
    return SavedEdits(final_delta, (edits,), delta, description.ranks)


def _location_of(delta: _DeltaFile) -> str:
    if delta.method is None:
        return "weights"
    try:
        return method_info(delta.method.split(JOIN)[0]).location
    except UnknownNameError:
        if delta.weights:  # a plug-in that isn't installed; the change of weights is sufficient
            return "weights"
        raise


def _editor_of_run(folder: Path, method: MethodDescription, model: LanguageModel) -> AnyEditor:
    """Creates the editor of a checkpoint from the settings in its run's manifest.

    Raises:
        BadInputError: The run is missing, or has several editors that the checkpoint could belong to.
    """
    trajectory = folder.resolve().parent
    run = trajectory.parent.parent
    problem = (
        f"{folder} was saved by an earlier version, which kept the settings of {method.name} with the run"
    )
    hint = "Leave the checkpoint in its run's folder, or continue the run: new checkpoints have all settings."
    if not (run / "manifest.json").is_file():
        raise BadInputError(f"{problem}: there is no manifest.json in {run}.", hint=hint)
    given = read_manifest(run).given.get("editors", [])
    try:
        found = [
            with_preset(create_editor(one["name"], one.get("settings")), model)
            for one in given
            if one["name"] == method.name
        ]
    except (KeyError, TypeError, ValidationError) as error:
        raise BadInputError(
            f"{problem}: the settings in {run / 'manifest.json'} can't be read.", hint=hint
        ) from error
    if len(found) > 1:
        with open_store(run) as store:
            variants = {record.variant for record in store.edit_records(trajectory.name)}
        found = [one for one in found if any(_is_variant(one.variant, variant) for variant in variants)]
    if len(found) != 1:
        raise BadInputError(f"{problem}, and {len(found)} editors of the run match it.", hint=hint)
    return found[0]


def _is_variant(of_editor: str, of_trajectory: str) -> bool:
    """Returns whether a trajectory's variant is an editor's, with or without a batch size appended."""
    rest = of_trajectory.removeprefix(of_editor).removeprefix(", ")
    return of_trajectory.startswith(of_editor) and (not rest or rest.startswith("batches of "))
