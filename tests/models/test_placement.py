"""Models with weights on the disk are loaded, read and changed; the files stay as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from sequela.core.errors import BadInputError, SequelaError
from sequela.edited import Delta, LowRank
from sequela.models import LanguageModel, load_model
from sequela.models.placement import execution_device, is_offloaded, is_on_disk, read_weight, write_weight
from sequela.models.saving import save_checkpoint
from support.packages import write_gguf
from support.tiers import QUICK_FAMILIES, quick_cases
from support.tiny import FAMILY_NAMES, tiny_language_model

WEIGHT = "model.layers.1.mlp.down_proj.weight"
MIXED = {"model.layers.1": "disk", "model.layers.3": "disk", "model.norm": "disk", "": "cpu"}


def saved(model: LanguageModel, folder: Path) -> Path:
    model.module.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return saved(tiny_language_model("llama"), tmp_path / "llama")


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("family", quick_cases(FAMILY_NAMES, QUICK_FAMILIES))
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_an_offloaded_model_is_the_same_model(family: str, dtype: str, tmp_path: Path) -> None:
    folder = saved(tiny_language_model(family), tmp_path)
    resident = load_model(folder, device="cpu", dtype=dtype)
    offloaded = load_model(folder, device_map="disk", dtype=dtype)
    assert offloaded.offloaded
    assert not resident.offloaded
    assert offloaded.device == torch.device("cpu")
    assert offloaded.fingerprint == resident.fingerprint
    assert offloaded.key_size == resident.key_size
    for name, weight in resident.module.named_parameters():
        assert torch.equal(offloaded.weight(name), weight)
        assert offloaded.block_of(name) == resident.block_of(name)
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        assert torch.equal(offloaded.module(ids).logits, resident.module(ids).logits)


@pytest.mark.parametrize("tied", [True, False])
def test_a_part_may_be_on_the_disk(tmp_path: Path, tied: bool) -> None:
    folder = saved(tiny_language_model("llama", tie_word_embeddings=tied), tmp_path)
    model = load_model(folder, device_map=MIXED)
    assert is_on_disk(model.module, WEIGHT)
    assert not is_on_disk(model.module, WEIGHT.replace("1", "0"))
    assert model.fingerprint == load_model(folder, device="cpu").fingerprint
    assert execution_device(model.module.get_submodule(WEIGHT.removesuffix(".weight"))) == torch.device("cpu")


@pytest.mark.parametrize("tied", [True, False])
def test_what_has_no_place_of_its_own_gets_that_of_the_rest(tmp_path: Path, tied: bool) -> None:
    folder = saved(tiny_language_model("llama", tie_word_embeddings=tied), tmp_path)
    places = {"model.embed_tokens": "cpu", "model.layers.1.mlp": "cpu", "": "disk"}
    model = load_model(folder, device_map=places)
    resident = load_model(folder, device="cpu")
    assert not is_on_disk(model.module, WEIGHT)
    assert is_on_disk(model.module, WEIGHT.replace("1", "0"))
    assert model.fingerprint == resident.fingerprint
    ids = torch.tensor([[5, 6, 7]])
    assert torch.equal(model.module(ids).logits, resident.module(ids).logits)


@pytest.mark.parametrize("first", ["model.embed_tokens", "lm_head"])
def test_a_head_tied_to_the_embedding_is_where_that_is(folder: Path, first: str) -> None:
    model = load_model(folder, device_map={first: "cpu", "": "disk"})
    assert not is_on_disk(model.module, "model.embed_tokens.weight")
    assert model.fingerprint == load_model(folder, device="cpu").fingerprint
    model.module(torch.tensor([[5, 6, 7]]))
    with pytest.raises(BadInputError, match="which are one weight"):
        load_model(folder, device_map={"model.embed_tokens": "cpu", "lm_head": "disk", "": "cpu"})
    table = {"model.embed_tokens": "cpu", "lm_head": "disk", "model.layers": "cpu", "model.norm": "cpu"}
    with pytest.raises(BadInputError, match="which are one weight"):
        load_model(folder, device_map=table)


def test_a_model_that_fits_its_devices_is_not_offloaded(folder: Path) -> None:
    for places in ("cpu", {"": "cpu"}, "auto"):
        assert not is_offloaded(load_model(folder, device_map=places).module) or torch.cuda.is_available()


def change(model: LanguageModel, seed: int) -> Delta:
    source = torch.Generator().manual_seed(seed)
    n_out, n_in = model.weight(WEIGHT).shape
    factors = torch.randn(n_out, 2, generator=source), torch.randn(2, n_in, generator=source)
    return Delta(model.fingerprint, {WEIGHT: LowRank(*factors)})


@pytest.mark.parametrize("places", ["disk", MIXED])
def test_changes_are_applied_toggled_and_reverted_in_order(folder: Path, places: Any) -> None:
    before = files(folder)
    resident, model = load_model(folder, device="cpu"), load_model(folder, device_map=places)
    original = resident.weight(WEIGHT).clone()
    states = []
    for one in (resident, model):
        with torch.inference_mode():
            first = change(one, 0).apply(one)
        seen = [one.weight(WEIGHT).clone()]
        second = change(one, 1).apply(one)
        seen.append(one.weight(WEIGHT).clone())
        with one.unedited():
            assert torch.equal(one.weight(WEIGHT), original)
        assert torch.equal(one.weight(WEIGHT), seen[1])
        second.revert()
        assert torch.equal(one.weight(WEIGHT), seen[0])
        states.append(seen)
        first.revert()
        assert torch.equal(one.weight(WEIGHT), original)
    assert all(torch.equal(a, b) for a, b in zip(*states, strict=True))
    assert is_on_disk(model.module, WEIGHT), "nothing stays in memory"
    assert files(folder) == before


def test_an_edited_weight_is_what_the_layer_computes_with(folder: Path) -> None:
    ids = torch.tensor([[5, 6, 7]])
    logits = []
    for model in (load_model(folder, device="cpu"), load_model(folder, device_map="disk")):
        applied = change(model, 0).apply(model)
        logits.append(model.module(ids).logits)
        applied.revert()
        logits.append(model.module(ids).logits)
    assert torch.equal(logits[0], logits[2])
    assert torch.equal(logits[1], logits[3])
    assert not torch.equal(logits[0], logits[1])


def test_a_written_weight_can_be_used_in_a_pass_with_gradients(folder: Path) -> None:
    model = load_model(folder, device_map="disk")
    with torch.inference_mode():
        write_weight(model.module, WEIGHT, read_weight(model.module, WEIGHT) * 2)
    hidden = torch.ones(1, 2, model.hidden_size, requires_grad=True)
    model.family.mlp_out_module(model.module, 1)(
        hidden.new_ones(1, 2, model.key_size) * hidden.sum()
    ).sum().backward()
    assert hidden.grad is not None


def test_a_device_and_a_device_map_exclude_each_other(folder: Path) -> None:
    with pytest.raises(BadInputError, match="not both"):
        load_model(folder, device="cpu", device_map="disk")


@pytest.mark.parametrize(
    ("places", "named"),
    [
        ({"model.layers.9": "disk", "": "cpu"}, r"model\.layers\.9"),
        ({"model.layers": "disk"}, r"no place for model\.embed_tokens\.weight .* and 1 more"),
        ({"modle": "cpu", "": "disk"}, "'modle'"),
    ],
)
def test_a_device_map_that_does_not_fit_is_an_error(folder: Path, places: Any, named: str) -> None:
    with pytest.raises(BadInputError, match=named):
        load_model(folder, device_map=places)


@pytest.mark.skipif(torch.cuda.is_available(), reason="the device is there")
def test_a_device_that_is_not_there_is_an_error(folder: Path) -> None:
    with pytest.raises(SequelaError, match="'cuda:1' is not available"):
        load_model(folder, device_map={"model.layers.0": 1, "": "cpu"})


def test_only_safetensors_are_read_from_the_disk(folder: Path, tmp_path: Path) -> None:
    model = load_model(folder, device="cpu")
    torch.save(model.module.state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(BadInputError, match="not in safetensors"):
        load_model(folder, device_map="disk")
    write_gguf(tmp_path / "model.gguf")
    with pytest.raises(BadInputError, match="GGUF"):
        load_model(tmp_path / "model.gguf", device_map="disk")


def test_an_offloaded_model_can_t_be_written(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="offloaded"):
        save_checkpoint(load_model(folder, device_map="disk"), tmp_path / "copy")
