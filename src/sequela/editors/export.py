"""Export of saved edits as a Hugging Face checkpoint with the edits merged into its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from sequela.core.descriptions import write_description
from sequela.core.errors import BadInputError, SequelaError
from sequela.core.paths import committing_folder, ensure_writable
from sequela.edited import EditedModel
from sequela.editors.saved_edits import EditsDescription
from sequela.editors.storage import load_saved_edits, read_description
from sequela.models import LanguageModel
from sequela.models.saving import save_checkpoint

DESCRIPTION = "sequela.json"
_LOCATIONS = {"activations": "in the activations", "prompt": "in the prompt"}


class ExportDescription(BaseModel):
    """The content of `sequela.json` in an exported checkpoint.

    Args:
        format: The version of this layout.
        base_fingerprint: The fingerprint of the unedited model.
        base_name: The name of the unedited model.
        delta: The hash of the change of weights.
        method: The method that made the change, if known.
        edits: The ids of the edits.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    base_fingerprint: str
    base_name: str
    delta: str
    method: str | None
    edits: tuple[str, ...]


def check_export(folder: Path, output: Path) -> EditsDescription:
    """Checks before a model is loaded that saved edits can be merged, and returns their description.

    Args:
        folder: Saved edits, as written by `sequela edit --output` or `Model.save_edits`, or a run's
            checkpoint.
        output: The folder of the checkpoint to write.

    Raises:
        BadInputError: The folder holds no edits, or the output exists and is not an empty folder.
        SequelaError: The edits are not in the weights.
    """
    description = read_description(folder)
    for method in description.methods:
        if method.location != "weights":
            raise SequelaError(
                f"The edits in {folder} can't be merged: {method.name} keeps them "
                f"{_LOCATIONS.get(method.location, method.location)}, not in the weights.",
                hint=f"Use the folder itself: `sequela evaluate --delta {folder}` applies its edits, as "
                "`Model.load_edits` does in Python. For a checkpoint that any program can load, apply the "
                "edits with a method that changes weights, such as memit.",
            )
    if not description.delta.weights:
        raise BadInputError(
            f"The edits in {folder} change no weight; the checkpoint would equal the unedited model."
        )
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise BadInputError(f"{output} already exists.", hint="Name a new or an empty folder.")
    return description


def export_merged(folder: Path, model: LanguageModel, output: Path) -> ExportDescription:
    """Writes a Hugging Face checkpoint with the edits in its weights; `model` itself is left unchanged.

    The checkpoint is written to a temporary folder and moved to `output` when it is complete.

    Args:
        folder: Saved edits.
        model: The model that the edits were computed for, without any edit applied.
        output: The folder of the checkpoint.

    Returns:
        The description that was written with the checkpoint.

    Raises:
        BadInputError: The folder holds no edits, or the output exists and is not an empty folder.
        SequelaError: The edits are not in the weights, or there is not enough disk space.
        FingerprintMismatchError: The edits were computed for another model.
    """
    saved = check_export(folder, output)
    delta = load_saved_edits(folder, model).delta
    needed = sum(weight.numel() * weight.element_size() for weight in model.module.parameters())
    ensure_writable(output.parent, needed, output)
    with EditedModel(model, delta), committing_folder(output) as building:
        save_checkpoint(model, building)
        description = ExportDescription(
            base_fingerprint=model.fingerprint,
            base_name=model.name,
            delta=delta.content_hash,
            method=saved.method,
            edits=saved.edits,
        )
        write_description(building / DESCRIPTION, description)
    return description
