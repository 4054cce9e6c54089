"""Deltas on disk come back to the bit, or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from sequela.deltas import Delta, Dense, LowRank
from sequela.deltas.storage import DESCRIPTION, TENSORS, load_delta, read_description, save_delta
from sequela.ground.errors import BadInputError, FingerprintMismatchError, IntegrityError
from sequela.ground.hashing import hash_tensors
from sequela.models import LanguageModel
from support.tiny import KEY_WIDTH, WIDTH, tiny_language_model


def some_delta(model: LanguageModel) -> Delta:
    """A low-rank update in float64, one whose factors are views of one tensor, and a dense one."""
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
    save_delta(delta, tmp_path / "new" / "folder", any_family, method="rome", edits=("a", "b"))
    loaded = load_delta(tmp_path / "new" / "folder", any_family)
    assert loaded.content_hash == delta.content_hash
    assert _edited_bits(any_family, loaded) == _edited_bits(any_family, delta)

    description = read_description(tmp_path / "new" / "folder")
    assert description.base_fingerprint == any_family.fingerprint
    assert (description.base_name, description.method) == (any_family.name, "rome")
    assert description.edits == ("a", "b")


def test_an_empty_delta_can_be_saved(tmp_path: Path) -> None:
    model = tiny_language_model("llama")
    save_delta(Delta.empty(model.fingerprint), tmp_path, model)
    assert load_delta(tmp_path, model).updates == {}


def test_another_base_is_refused_with_both_fingerprints(tmp_path: Path) -> None:
    model, other = tiny_language_model("llama"), tiny_language_model("llama", seed=1)
    save_delta(some_delta(model), tmp_path, model)
    with pytest.raises(FingerprintMismatchError) as refused:
        load_delta(tmp_path, other)
    assert model.fingerprint in str(refused.value)
    assert other.fingerprint in str(refused.value)


@pytest.mark.parametrize("at", [-1, -2000])
def test_a_changed_number_is_noticed(tmp_path: Path, at: int) -> None:
    model = tiny_language_model("llama")
    save_delta(some_delta(model), tmp_path, model)
    content = bytearray((tmp_path / TENSORS).read_bytes())
    content[at] ^= 1
    (tmp_path / TENSORS).write_bytes(content)
    with pytest.raises(IntegrityError, match="hash differs"):
        load_delta(tmp_path, model)


def test_a_file_cut_short_is_noticed(tmp_path: Path) -> None:
    model = tiny_language_model("llama")
    save_delta(some_delta(model), tmp_path, model)
    content = (tmp_path / TENSORS).read_bytes()
    (tmp_path / TENSORS).write_bytes(content[: len(content) // 2])
    with pytest.raises(BadInputError, match="can't be read"):
        load_delta(tmp_path, model)


def test_a_description_that_names_other_weights_is_noticed(tmp_path: Path) -> None:
    model = tiny_language_model("llama")
    save_delta(some_delta(model), tmp_path, model)
    said = json.loads((tmp_path / DESCRIPTION).read_text())
    dropped = dict(list(said["weights"].items())[1:])
    (tmp_path / DESCRIPTION).write_text(json.dumps({**said, "weights": dropped}))
    with pytest.raises(IntegrityError):
        load_delta(tmp_path, model)
    (tmp_path / DESCRIPTION).write_text(json.dumps({**said, "weights": {"other.weight": "dense"}}))
    with pytest.raises(IntegrityError, match=r"other\.weight"):
        load_delta(tmp_path, model)


@pytest.mark.parametrize("content", ["", "[]", '{"format": 1}'])
def test_a_file_that_describes_no_delta_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / DESCRIPTION).write_text(content)
    with pytest.raises(BadInputError, match=DESCRIPTION):
        read_description(tmp_path)


def test_a_later_format_is_refused(tmp_path: Path) -> None:
    model = tiny_language_model("llama")
    save_delta(some_delta(model), tmp_path, model)
    said = json.loads((tmp_path / DESCRIPTION).read_text())
    (tmp_path / DESCRIPTION).write_text(json.dumps({**said, "format": 2}))
    with pytest.raises(BadInputError, match="format"):
        load_delta(tmp_path, model)


def test_a_folder_without_a_delta_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="holds no delta"):
        load_delta(tmp_path, tiny_language_model("llama"))


def _edited_bits(model: LanguageModel, delta: Delta) -> str:
    change = delta.apply(model)
    found = hash_tensors(model.module.named_parameters())
    change.revert()
    return found
