"""A written model states whether head and embedding are one matrix."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from sequela.models import load_model
from sequela.models.saving import save_checkpoint
from support.tiny import tiny_language_model


@pytest.mark.parametrize("differ", [False, True])
@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma3"])
def test_a_file_with_two_matrices_that_the_configuration_calls_tied(
    family: str, differ: bool, tmp_path: Path
) -> None:
    original, path = tiny_language_model(family), tmp_path / "two" / "model.safetensors"
    save_checkpoint(original, path.parent)
    tensors = load_file(path)
    embedding = tensors[f"{original.family.embed}.weight"]
    save_file({**tensors, "lm_head.weight": embedding + float(differ)}, path, metadata={"format": "pt"})

    loaded = load_model(str(path.parent), device="cpu")
    save_checkpoint(loaded, tmp_path / "again")
    again = load_model(str(tmp_path / "again"), device="cpu")
    config = json.loads((tmp_path / "again" / "config.json").read_text(encoding="utf-8"))
    assert config.get("tie_word_embeddings", True) != differ
    assert loaded.module.config.tie_word_embeddings  # unchanged in memory, where the fingerprint has it
    ids = torch.tensor([[3, 5, 8, 13]])
    assert torch.equal(again.module(ids).logits, loaded.module(ids).logits)
    assert torch.equal(loaded.module(ids).logits, original.module(ids).logits) != differ
