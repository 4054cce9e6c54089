"""Writing of a model as a folder that any program can load."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from sequela.core.errors import BadInputError
from sequela.core.files import system_errors
from sequela.models.language_model import LanguageModel
from sequela.models.loading import quiet_transformers


def save_checkpoint(
    model: LanguageModel, folder: Path, weights: Mapping[str, torch.Tensor] | None = None
) -> None:
    """Writes a model and its tokenizer.

    The configuration states whether head and embedding are one matrix, as they are in the model. A file may
    have two of them and a configuration that says one: transformers loads both, other programs drop one.

    Args:
        model: The model.
        folder: The folder; it is created.
        weights: The weights by name; None for those of the model, with the edits in force.

    Raises:
        BadInputError: Weights of the model are offloaded.
    """
    if model.offloaded:
        raise BadInputError(
            f"{model.name!r} can't be written: some of its weights are offloaded by the device map.",
            hint="Load it without one to export it.",
        )
    module = model.module
    head, embedding = module.get_output_embeddings(), module.get_input_embeddings()
    stated = getattr(module.config, "tie_word_embeddings", False)
    with quiet_transformers(), system_errors():
        try:
            if stated and head is not None and head.weight is not embedding.weight:
                module.config.tie_word_embeddings = False
            module.save_pretrained(folder, state_dict=None if weights is None else dict(weights))
        finally:
            if stated:
                module.config.tie_word_embeddings = stated
        model.tokenizer.save_pretrained(folder)
