"""An adapter's files describe exactly the change of the delta."""

from __future__ import annotations

import copy
import json
import warnings
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file

from sequela.edited import Delta, Dense, EditedModel, LowRank
from sequela.inference.vllm.lora_adapter import (
    DESCRIPTION,
    TENSORS,
    StoredAdapters,
    adapter_rank,
    write_adapter,
)
from sequela.models import LanguageModel
from support.tiny import KEY_WIDTH, WIDTH, tiny_language_model

IDS = torch.tensor([[5, 6, 7, 8, 9]])


def low_rank(rank: int, seed: int = 0) -> LowRank:
    source = torch.Generator().manual_seed(seed)
    return LowRank(torch.randn(WIDTH, rank, generator=source), torch.randn(rank, KEY_WIDTH, generator=source))


def output_modules(model: LanguageModel) -> frozenset[str]:
    return frozenset({model.family.mlp_out.rpartition(".")[2]})


def test_an_adapter_adds_the_same_as_the_delta(any_family: LanguageModel, tmp_path: Path) -> None:
    names = [any_family.family.mlp_out_name(layer) for layer in (1, 3)]
    delta = Delta(any_family.fingerprint, {names[0]: low_rank(3), names[1]: low_rank(5, seed=1)})
    write_adapter(delta, tmp_path / "adapter", any_family)
    tensors = load_file(tmp_path / "adapter" / TENSORS)
    config = json.loads((tmp_path / "adapter" / DESCRIPTION).read_text())

    assert len(tensors) == 4
    with EditedModel(any_family, delta):
        edited = {name: any_family.module.get_parameter(name).detach().clone() for name in names}
    for name in names:
        module = name.removesuffix(".weight")
        a = tensors[f"base_model.model.{module}.lora_A.weight"]
        b = tensors[f"base_model.model.{module}.lora_B.weight"]
        assert (a.dtype, b.dtype) == (any_family.dtype, any_family.dtype)
        assert (a.shape, b.shape) == ((config["r"], KEY_WIDTH), (WIDTH, config["r"]))
        weight = any_family.family.as_out_in(any_family.module.get_parameter(name)).double()
        found = weight + config["lora_alpha"] / config["r"] * (b.double() @ a.double())
        assert torch.equal(found.float(), any_family.family.as_out_in(edited[name]))
    assert (config["r"], config["peft_type"], config["bias"]) == (5, "LORA", "none")
    assert config["target_modules"] == sorted(name.removesuffix(".weight") for name in names)
    assert config["fan_in_fan_out"] == (any_family.family.name in ("gpt2",))


def logits_in_peft(model: LanguageModel, folder: Path) -> torch.Tensor:
    """Returns the logits of a copy of the model with an adapter, as peft loads it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning)  # peft calls what transformers renamed
        warnings.filterwarnings("error", message="Found missing adapter keys")
        adapted = PeftModel.from_pretrained(copy.deepcopy(model.module), str(folder))
    logits: torch.Tensor = adapted(IDS).logits
    return logits


@torch.no_grad()
def test_peft_gives_the_logits_of_the_delta(any_family: LanguageModel, tmp_path: Path) -> None:
    names = [any_family.family.mlp_out_name(layer) for layer in (1, 3)]
    delta = Delta(any_family.fingerprint, {names[0]: low_rank(3), names[1]: low_rank(5, seed=1)})
    write_adapter(delta, tmp_path / "adapter", any_family)
    unedited = any_family.module(IDS).logits
    with EditedModel(any_family, delta):
        edited = any_family.module(IDS).logits
    found = logits_in_peft(any_family, tmp_path / "adapter")
    assert float((found - edited).abs().max()) < 1e-4
    assert float((found - unedited).abs().max()) > 0.1


@pytest.mark.parametrize("part", ["layers.1.", "mlp.", "base_model.model."])
def test_peft_says_of_a_renamed_module_that_the_adapter_lacks_it(part: str, tmp_path: Path) -> None:
    model = tiny_language_model("llama")
    write_adapter(Delta(model.fingerprint, {model.family.mlp_out_name(1): low_rank(3)}), tmp_path, model)
    tensors = load_file(tmp_path / TENSORS)
    save_file({name.replace(part, "other."): tensor for name, tensor in tensors.items()}, tmp_path / TENSORS)
    with pytest.raises(UserWarning, match="Found missing adapter keys"):
        logits_in_peft(model, tmp_path)


def test_factors_are_in_the_dtype_of_the_model(tmp_path: Path) -> None:
    model = tiny_language_model("llama")
    model.module.to(torch.bfloat16)
    delta = Delta(model.fingerprint, {model.family.mlp_out_name(0): low_rank(2)})
    write_adapter(delta, tmp_path, model)
    assert {tensor.dtype for tensor in load_file(tmp_path / TENSORS).values()} == {torch.bfloat16}


def test_the_rank_is_the_maximum_of_the_updates() -> None:
    model = tiny_language_model("llama")
    first, second = (model.family.mlp_out_name(layer) for layer in (0, 1))
    delta = Delta(model.fingerprint, {first: low_rank(2), second: low_rank(7)})
    assert adapter_rank(delta, output_modules(model)) == 7


@pytest.mark.parametrize(
    ("name", "update"),
    [
        ("model.layers.0.mlp.down_proj.weight", Dense(torch.zeros(WIDTH, KEY_WIDTH))),
        ("model.layers.0.self_attn.q_proj.weight", low_rank(1)),
        ("model.layers.0.mlp.down_proj.bias", low_rank(1)),
        ("model.embed_tokens.weight", low_rank(1)),
    ],
)
def test_other_updates_than_low_rank_ones_of_such_a_module_are_not_an_adapter(
    name: str, update: LowRank | Dense
) -> None:
    delta = Delta("base", {"model.layers.1.mlp.down_proj.weight": low_rank(1), name: update})
    assert adapter_rank(delta, frozenset({"down_proj"})) is None


def test_if_no_module_can_have_an_adapter_no_delta_is_one() -> None:
    delta = Delta("base", {"model.layers.1.mlp.down_proj.weight": low_rank(1)})
    assert adapter_rank(delta, frozenset()) is None


def test_adapters_are_named_by_their_content(tmp_path: Path) -> None:
    """Two checkpoints of one method change the same weights by the same ranks, and are different adapters."""
    model = tiny_language_model("llama")
    name = model.family.mlp_out_name(1)
    first, other, equal = (Delta(model.fingerprint, {name: low_rank(2, seed)}) for seed in (0, 1, 0))
    stored = StoredAdapters(tmp_path)
    one, two, again = (stored.store(delta, model) for delta in (first, other, equal))
    assert again == one
    assert (one.name, one.number) != (two.name, two.number)
    assert (len({one.name, two.name}), len({one.number, two.number}), len({one.folder, two.folder})) == (
        2,
        2,
        2,
    )
    assert (one.name, two.name) == (first.content_hash, other.content_hash)
    tensors = [load_file(adapter.folder / TENSORS) for adapter in (one, two)]
    assert any(not torch.equal(tensors[0][key], tensors[1][key]) for key in tensors[0])
    elsewhere = StoredAdapters(tmp_path / "another").store(equal, model)
    assert (elsewhere.name, elsewhere.number) == (one.name, 1)
