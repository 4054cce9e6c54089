"""The checkpoint folder that vLLM loads the base model from."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import safe_open

from sequela.edited.delta import AppliedDelta
from sequela.models import LanguageModel
from sequela.models.saving import save_checkpoint


def save_unedited(base: LanguageModel, folder: Path) -> None:
    """Writes model and tokenizer; if edits are in force, the original weights."""
    before: dict[int, torch.Tensor] = {}
    for change in base.changes:
        if isinstance(change, AppliedDelta):
            for name, original in change.originals.items():
                before.setdefault(base.module.get_parameter(name).data_ptr(), original)
    state = {name: before.get(t.data_ptr(), t) for name, t in base.module.state_dict().items()}
    save_checkpoint(base, folder, state)


def file_of_each(checkpoint: Path) -> dict[str, Path]:
    """Returns the file that contains each weight of a checkpoint."""
    files: dict[str, Path] = {}
    for file in sorted(checkpoint.glob("*.safetensors")):
        with safe_open(file, framework="pt") as tensors:
            files.update(dict.fromkeys(tensors.keys(), file))
    return files


def part_of_block(name: str, blocks: str) -> str:
    """Returns the block part that has a weight, such as `model.layers.3.mlp`; empty for other weights."""
    pieces = name.removeprefix(f"{blocks}.").split(".")
    if not name.startswith(f"{blocks}.") or len(pieces) < 4:
        return ""
    return f"{blocks}.{pieces[0]}.{pieces[1]}"
