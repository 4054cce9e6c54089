"""Models without weights: sizes, tokens and fingerprints as those of the real ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sequela.core.errors import SequelaError
from sequela.models import load_model
from sequela.models.known_fingerprints import remember_fingerprint
from sequela.models.weightless import WeightlessModel, weightless_model
from support.tiny import FAMILY_NAMES, tiny_module, tiny_tokenizer

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQUELA_CACHE", str(tmp_path / "cache"))


def weightless(folder: Path) -> WeightlessModel:
    return weightless_model(str(folder), torch.float32, CPU)


@pytest.mark.parametrize("family", FAMILY_NAMES)
@pytest.mark.parametrize("tied", [True, False])
def test_its_sizes_are_those_of_the_real_model(family: str, tied: bool, tmp_path: Path) -> None:
    real = tiny_module(family, tie_word_embeddings=tied)
    real.config.save_pretrained(tmp_path)  # the configuration alone
    found = weightless(tmp_path)
    assert found.n_parameters == sum(one.numel() for one in real.parameters())
    assert {name: one.shape for name, one in found.module.named_parameters()} == {
        name: one.shape for name, one in real.named_parameters()
    }
    assert all(one.is_meta for one in found.module.parameters())


def test_it_answers_as_the_loaded_model(tmp_path: Path) -> None:
    tiny_module("llama").save_pretrained(tmp_path)
    tiny_tokenizer("llama").save_pretrained(tmp_path)
    found, real = weightless(tmp_path), load_model(tmp_path)
    for name in ("end_ids", "context_length", "key_size", "key_value_bytes", "dtype", "device", "offloaded"):
        assert getattr(found, name) == getattr(real, name), name
    assert found.tokenizer("The sea")["input_ids"] == real.tokenizer("The sea")["input_ids"]


def test_bytes_stand_in_for_a_missing_tokenizer(tmp_path: Path) -> None:
    real = tiny_module("llama")
    real.config.save_pretrained(tmp_path)
    found = weightless(tmp_path)
    assert not found.has_tokenizer
    assert len(found.tokenizer("Málaga, 3")["input_ids"]) == len("Málaga, 3".encode())
    assert found.context_length == 4 * real.config.max_position_embeddings


def test_the_fingerprint_is_known_once_the_model_was_loaded_until_its_files_change(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    tiny_module("llama").save_pretrained(folder)
    tiny_tokenizer("llama").save_pretrained(folder)
    assert not weightless(folder).knows_weights
    real = load_model(folder)
    remember_fingerprint(real)
    assert weightless(folder).knows_weights
    assert weightless(folder).fingerprint == real.fingerprint
    other_dtype = weightless_model(str(folder), torch.bfloat16, CPU)
    assert not other_dtype.knows_weights  # its weights are rounded
    tiny_module("llama", seed=1).save_pretrained(folder)
    assert not weightless(folder).knows_weights
    assert weightless(folder).fingerprint != real.fingerprint


def test_a_damaged_record_is_as_good_as_none(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    tiny_module("llama").save_pretrained(folder)
    tiny_tokenizer("llama").save_pretrained(folder)
    remember_fingerprint(load_model(folder))
    (record,) = (tmp_path / "cache" / "fingerprints").iterdir()
    record.write_text(record.read_text(encoding="utf-8").replace('"weights": "', '"weights": "0'))
    assert not weightless(folder).knows_weights


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no-such/model", "config.json"),
        ("gemma3-270m", "sequela evaluate gemma3-270m"),
        ("./nowhere", "does not exist"),
    ],
)
def test_a_model_that_is_not_here_is_an_error_that_says_how_to_get_it(name: str, said: str) -> None:
    with pytest.raises(SequelaError, match=name) as raised:
        weightless_model(name, torch.float32, CPU)
    assert said in str(raised.value)
