"""Saved edits: one folder format for runs, commands and the Python interface.

A folder has up to four files:

* `edits.json`: everything except tensors: the format's version, the model, the methods with their settings
  and states, and the edits. It is written last; a folder without it holds no saved edits.
* `delta.safetensors`: the change of weights to apply, if there is one.
* `state.safetensors`: the tensors of the methods' states, if they have any.
* `unregularized.safetensors`: in a checkpoint of a run, the change of weights that further edits build on,
  if a regularizer such as PRUNE makes it differ from the one to apply.

Folders of earlier versions are read by `former_storage`.
"""

from __future__ import annotations

from pathlib import Path

import torch
import transformers

from sequela.core.descriptions import read_description_of, write_description
from sequela.core.errors import BadInputError
from sequela.core.files import load_tensors, save_tensors
from sequela.edited.delta_storage import restore_delta, store_delta
from sequela.editors import former_storage
from sequela.editors.base import AnyEditor
from sequela.editors.saved_edits import (
    FORMAT,
    EditsDescription,
    MethodEdits,
    SavedEdits,
    check_base,
    check_format,
    restored,
)
from sequela.models import LanguageModel

DESCRIPTION = "edits.json"
DELTA = "delta.safetensors"
STATE = "state.safetensors"
UNREGULARIZED = "unregularized.safetensors"


def save_edits(folder: Path, model: LanguageModel, edits: SavedEdits) -> EditsDescription:
    """Saves edits to a folder, replacing edits that were saved there before.

    Args:
        folder: The folder.
        model: The model without any edit applied.
        edits: The edits.

    Returns:
        The content of `edits.json`.
    """
    differs = edits.unregularized is not None and edits.unregularized.content_hash != edits.delta.content_hash
    tensors = {
        f"{number}/{name}": tensor
        for number, one in enumerate(edits.methods)
        if one.state is not None
        for name, tensor in one.state.tensors.items()
    }
    description = EditsDescription(
        base_fingerprint=edits.delta.base_fingerprint,
        base_name=model.name,
        base_dtype=str(model.dtype).removeprefix("torch."),
        base_parts=model.parts,
        base_transformers=transformers.__version__,
        delta=store_delta(folder / DELTA, edits.delta),
        methods=tuple(
            one.description.model_copy(
                update={"state": None if one.state is None else one.state.model_dump(mode="json")}
            )
            for one in edits.methods
        ),
        state_tensors=save_tensors(folder / STATE, tensors) if tensors else "",
        unregularized=store_delta(folder / UNREGULARIZED, edits.unregularized)
        if differs and edits.unregularized is not None
        else None,
        ranks={n_edits: dict(ranks) for n_edits, ranks in edits.ranks.items()},
    )
    write_description(folder / DESCRIPTION, description)
    _remove_stale_files(folder, description)
    return description


def _remove_stale_files(folder: Path, description: EditsDescription) -> None:
    """Removes files of edits that were saved to the folder before, once the new description is in force."""
    for name, needed in {
        DELTA: bool(description.delta.weights),
        STATE: bool(description.state_tensors),
        UNREGULARIZED: description.unregularized is not None,
        **dict.fromkeys(former_storage.DESCRIPTIONS, False),
    }.items():
        if not needed:
            (folder / name).unlink(missing_ok=True)


def read_description(folder: Path) -> EditsDescription:
    """Reads the description of saved edits, of this or an earlier version, without the tensors.

    Raises:
        BadInputError: The folder holds no saved edits, or a newer version saved them.
        IntegrityError: A part of them is missing.
    """
    if not (folder / DESCRIPTION).is_file() and former_storage.holds_edits(folder):
        return former_storage.read_description(folder)
    if (folder / "checkpoints").is_dir() and not (folder / DESCRIPTION).is_file():
        raise BadInputError(
            f"{folder} holds no saved edits: it is the folder of a run.",
            hint=f"Name one of its checkpoints: {folder}/checkpoints/TRAJECTORY/EDITS.",
        )
    check_format(folder / DESCRIPTION, FORMAT)
    return read_description_of(folder / DESCRIPTION, EditsDescription, "saved edits")


def load_saved_edits(folder: Path, model: LanguageModel, editor: AnyEditor | None = None) -> SavedEdits:
    """Loads saved edits for the model that they were computed for.

    Args:
        folder: The folder, of this or an earlier version.
        model: The model.
        editor: The editor that will apply further edits, for which more is loaded; None if there are none.

    Raises:
        BadInputError: The folder holds no edits, or a newer version saved them.
        IntegrityError: A part is missing, or the tensors differ from those that were saved.
        FingerprintMismatchError: The edits were computed for another model.
    """
    description = read_description(folder)
    check_base(description, model)
    if not (folder / DESCRIPTION).is_file():
        return former_storage.load_former_edits(folder, description, model, editor)
    needed = [editor is not None or one.location != "weights" for one in description.methods]
    tensors: dict[str, torch.Tensor] = {}
    if description.state_tensors and any(needed):
        tensors = load_tensors(folder / STATE, description.state_tensors)
    methods = []
    for number, (one, wanted) in enumerate(zip(description.methods, needed, strict=True)):
        start = f"{number}/"
        own = {name.removeprefix(start): t for name, t in tensors.items() if name.startswith(start)}
        methods.append(restored(folder, one, own, model, editor) if wanted else MethodEdits(one))
    delta, unregularized = restore_delta(folder / DELTA, description.delta, model), None
    if editor is not None and description.unregularized is not None:
        unregularized = restore_delta(folder / UNREGULARIZED, description.unregularized, model)
    return SavedEdits(delta, tuple(methods), unregularized, description.ranks)
