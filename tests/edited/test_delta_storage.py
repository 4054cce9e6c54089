"""Stored deltas are restored bit for bit, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sequela.core.errors import IntegrityError
from sequela.core.hashing import hash_tensors
from sequela.edited import Delta, Dense, LowRank
from sequela.edited.delta_storage import restore_delta, store_delta
from sequela.models import LanguageModel
from support.tiny import KEY_WIDTH, WIDTH, tiny_language_model


def some_delta(model: LanguageModel) -> Delta:
    """Returns a low-rank update in float64, one whose factors are views of one tensor, and a dense one."""
    source = torch.Generator().manual_seed(4)
    together = torch.randn(2 * (WIDTH + KEY_WIDTH), generator=source)
    names = [model.family.mlp_out_name(layer) for layer in (0, 1, 2)]
    return Delta(
        model.fingerprint,
        {
            names[0]: LowRank(
                torch.randn(WIDTH, 2, generator=source, dtype=torch.float64),
                torch.randn(2, KEY_WIDTH, generator=source, dtype=torch.float64),
            ),
            names[1]: LowRank(together[: 2 * WIDTH].view(WIDTH, 2), together[2 * WIDTH :].view(2, KEY_WIDTH)),
            names[2]: Dense(torch.randn(KEY_WIDTH, WIDTH, generator=source).T),
        },
    )


def test_a_loaded_delta_gives_the_same_bits(any_family: LanguageModel, tmp_path: Path) -> None:
    delta = some_delta(any_family)
    path = tmp_path / "new" / "folder" / "delta.safetensors"
    loaded = restore_delta(path, store_delta(path, delta), any_family)
    assert loaded.content_hash == delta.content_hash
    assert _edited_bits(any_family, loaded) == _edited_bits(any_family, delta)


def test_an_empty_delta_replaces_another(tmp_path: Path) -> None:
    model, path = tiny_language_model("llama"), tmp_path / "delta.safetensors"
    store_delta(path, some_delta(model))
    stored = store_delta(path, Delta.empty(model.fingerprint))
    assert restore_delta(path, stored, model).updates == {}
    assert path.exists()  # for a description that is still in force; `save_edits` removes it later


@pytest.mark.parametrize("at", [-1, -2000])
def test_a_changed_value_is_an_error(tmp_path: Path, at: int) -> None:
    model, path = tiny_language_model("llama"), tmp_path / "delta.safetensors"
    stored = store_delta(path, some_delta(model))
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match="hash differs"):
        restore_delta(path, stored, model)


def test_a_truncated_or_missing_file_is_an_error(tmp_path: Path) -> None:
    model, path = tiny_language_model("llama"), tmp_path / "delta.safetensors"
    stored = store_delta(path, some_delta(model))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(IntegrityError, match="can't be read"):
        restore_delta(path, stored, model)
    path.unlink()
    with pytest.raises(IntegrityError, match=r"delta\.safetensors is missing"):
        restore_delta(path, stored, model)


def test_a_description_that_names_other_weights_is_an_error(tmp_path: Path) -> None:
    model, path = tiny_language_model("llama"), tmp_path / "delta.safetensors"
    stored = store_delta(path, some_delta(model))
    fewer = dict(list(stored.weights.items())[1:])
    with pytest.raises(IntegrityError):
        restore_delta(path, stored.model_copy(update={"weights": fewer}), model)
    with pytest.raises(IntegrityError, match=r"other\.weight"):
        restore_delta(path, stored.model_copy(update={"weights": {"other.weight": "dense"}}), model)


def _edited_bits(model: LanguageModel, delta: Delta) -> str:
    change = delta.apply(model)
    found = hash_tensors(model.module.named_parameters())
    change.revert()
    return found
