"""Saved edits merged into a checkpoint of their own, for programs that know nothing of edits."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from sequela.core.errors import BadInputError, SequelaError
from sequela.core.files import write_description
from sequela.core.paths import ensure_writable
from sequela.edited import EditedModel
from sequela.editors.saved_edits import EditsDescription
from sequela.editors.storage import load_saved_edits, read_description
from sequela.models import LanguageModel
from sequela.models.loading import quiet_transformers

DESCRIPTION = "sequela.json"
_LOCATIONS = {"activations": "beside a layer", "prompt": "in the prompt"}


class ExportDescription(BaseModel):
    """What `sequela.json` beside an exported checkpoint says.

    Args:
        format: The version of this layout.
        base_fingerprint: The unedited model.
        base_name: What it was called.
        delta: The hash of the change.
        method: The method that made it, if known.
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
    """What the edits in a folder are, if they can be merged; asked before a model is loaded.

    Args:
        folder: Saved edits: what `sequela edit --output` or `Model.save_edits` wrote, or a run's checkpoint.
        output: The folder of the checkpoint that is to be made.

    Raises:
        BadInputError: The folder holds no edits, or the output is not an empty place.
        SequelaError: The edits don't sit in weights.
    """
    description = read_description(folder)
    for method in description.methods:
        if method.location != "weights":
            raise SequelaError(
                f"The edits in {folder} can't be merged: {method.name} keeps them "
                f"{_LOCATIONS.get(method.location, method.location)}, and no weights say the same.",
                hint=f"Keep the folder: `sequela evaluate --delta {folder}` puts its edits in force, as "
                "`Model.load_edits` does in Python. For a checkpoint that any program can load, make the "
                "edits with a method that writes weights, such as memit.",
            )
    if not description.delta.weights:
        raise BadInputError(f"The edits in {folder} change no weight: the checkpoint would be the base's.")
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise BadInputError(f"{output} is there already.", hint="Name a new or an empty folder.")
    return description


def export_merged(folder: Path, model: LanguageModel, output: Path) -> ExportDescription:
    """Writes a Hugging Face checkpoint with the edits in its weights; the model itself is left as it was.

    It is built beside `output` and takes its place only when it is whole.

    Args:
        folder: Saved edits.
        model: The model the edits were made for, without any in force.
        output: The folder of the checkpoint.

    Raises:
        BadInputError: The folder holds no edits, or the output is not an empty place.
        SequelaError: The edits don't sit in weights, or there is no room for the checkpoint.
        FingerprintMismatchError: They were made for another model.
    """
    saved = check_export(folder, output)
    delta = load_saved_edits(folder, model).delta
    needed = sum(weight.numel() * weight.element_size() for weight in model.module.parameters())
    ensure_writable(output.parent, needed_bytes=needed)
    with (
        tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as temporary,
        EditedModel(model, delta),
        quiet_transformers(),
    ):
        building = Path(temporary) / "checkpoint"
        model.module.save_pretrained(building)
        model.tokenizer.save_pretrained(building)
        description = ExportDescription(
            base_fingerprint=model.fingerprint,
            base_name=model.name,
            delta=delta.content_hash,
            method=saved.method,
            edits=saved.edits,
        )
        write_description(building / DESCRIPTION, description)
        building.rename(output)
    return description
