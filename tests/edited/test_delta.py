"""A delta changes weights, reverts every bit, can be added, and is bound to its base."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sequela.core.errors import FingerprintMismatchError, SequelaError
from sequela.core.hashing import hash_tensors
from sequela.edited import Delta, Dense, EditedModel, LowRank
from sequela.edited.delta import difference
from sequela.edited.updates import add_updates
from sequela.models import LanguageModel
from sequela.models.forward.batch import pad_right
from sequela.models.forward.replay import record_forward
from support.live_tensors import LiveTensors
from support.tiny import KEY_WIDTH, WIDTH, tiny_language_model


def low_rank(rank: int, seed: int, size: tuple[int, int] = (WIDTH, KEY_WIDTH)) -> LowRank:
    source = torch.Generator().manual_seed(seed)
    return LowRank(torch.randn(size[0], rank, generator=source), torch.randn(rank, size[1], generator=source))


def delta_for(model: LanguageModel, layers: tuple[int, ...] = (1, 2), seed: int = 0) -> Delta:
    """Returns a low-rank update of the first layer and dense ones of the others."""
    updates = {
        model.family.mlp_out_name(layer): low_rank(2, seed + layer)
        if i == 0
        else Dense(low_rank(WIDTH, seed + layer).to_dense().float())
        for i, layer in enumerate(layers)
    }
    return Delta(model.fingerprint, updates)


def bits(model: LanguageModel) -> str:
    return hash_tensors(model.module.named_parameters())


def test_apply_adds_the_update_and_revert_restores_every_bit(any_family: LanguageModel) -> None:
    delta, before = delta_for(any_family), bits(any_family)
    names = list(delta.updates)
    originals = {name: any_family.module.get_parameter(name).detach().clone() for name in names}

    change = delta.apply(any_family)
    for name in names:
        found = any_family.family.as_out_in(any_family.module.get_parameter(name))
        wanted = any_family.family.as_out_in(originals[name]).double() + delta.updates[name].to_dense()
        assert torch.equal(found, wanted.float())
    assert bits(any_family) != before
    change.revert()
    assert bits(any_family) == before
    assert any_family.changes == []


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_weights_of_lower_precision_are_restored_bit_for_bit(dtype: torch.dtype) -> None:
    made = tiny_language_model("gpt2")
    model = LanguageModel.wrap(made.module.to(dtype), made.tokenizer, "half")
    before = bits(model)
    change = delta_for(model).apply(model)
    assert bits(model) != before
    change.revert()
    assert bits(model) == before


def test_changes_are_reverted_only_in_reverse_order() -> None:
    model = tiny_language_model("llama")
    before = bits(model)
    first = delta_for(model, (1, 2)).apply(model)
    between = bits(model)
    second = delta_for(model, (2, 3), seed=9).apply(model)
    with pytest.raises(SequelaError, match="isn't the last change"):
        first.revert()
    second.revert()
    assert bits(model) == between
    first.revert()
    assert bits(model) == before
    with pytest.raises(SequelaError, match="isn't the last change"):
        first.revert()


def test_edited_models_of_one_base_are_nested_and_left_in_reverse_order() -> None:
    model = tiny_language_model("llama")
    before = bits(model)
    outer, inner = EditedModel(model, delta_for(model)), EditedModel(model, delta_for(model, seed=5))
    with outer:
        once = bits(model)
        with inner, outer:
            assert bits(model) not in {before, once}
        assert bits(model) == once
        with inner:
            pass
    assert bits(model) == before

    outer.__enter__()
    inner.__enter__()
    with pytest.raises(SequelaError, match="isn't the last change"):
        outer.__exit__(None, None, None)
    inner.__exit__(None, None, None)
    outer.__exit__(None, None, None)
    assert bits(model) == before


def test_a_delta_that_does_not_fit_leaves_the_model_as_it_was() -> None:
    model = tiny_language_model("llama")
    before = bits(model)
    good, bad = model.family.mlp_out_name(0), model.family.mlp_out_name(1)
    delta = Delta(model.fingerprint, {good: low_rank(1, 0), bad: low_rank(1, 1, size=(WIDTH, KEY_WIDTH + 1))})
    with pytest.raises(SequelaError, match=r"layers.1.mlp.*\[32, 65\].*\[32, 64\]"):
        delta.apply(model)
    assert bits(model) == before
    assert model.changes == []


def test_a_delta_for_another_base_is_an_error_with_both_fingerprints() -> None:
    model, other = tiny_language_model("llama"), tiny_language_model("llama", seed=1)
    with pytest.raises(FingerprintMismatchError) as refused:
        delta_for(model).apply(other)
    assert model.fingerprint in str(refused.value)
    assert other.fingerprint in str(refused.value)
    with pytest.raises(FingerprintMismatchError):
        delta_for(model) + delta_for(other)


def test_the_sum_has_the_effect_of_both(any_family: LanguageModel) -> None:
    first, second = delta_for(any_family, (0, 1)), delta_for(any_family, (1, 2), seed=7)
    total = first + second
    assert set(total.updates) == set(first.updates) | set(second.updates)
    for name, update in total.updates.items():
        parts = [delta.updates[name].to_dense() for delta in (first, second) if name in delta.updates]
        torch.testing.assert_close(update.to_dense(), sum(parts), rtol=1e-6, atol=1e-6)
    assert (Delta.empty(any_family.fingerprint) + first).content_hash == first.content_hash


def test_norms_are_those_of_the_change_of_weights(any_family: LanguageModel) -> None:
    delta = delta_for(any_family)
    before = {name: any_family.module.get_parameter(name).double().clone() for name in delta.updates}
    change = delta.apply(any_family)
    for name, norm in delta.norms().items():
        moved = any_family.module.get_parameter(name).double() - before[name]
        assert norm == pytest.approx(float(moved.norm()), rel=1e-5)
    change.revert()


def test_the_hash_distinguishes_deltas_and_nothing_else() -> None:
    model, other = tiny_language_model("llama"), tiny_language_model("llama", seed=1)
    assert delta_for(model).content_hash == delta_for(model).content_hash
    different = {
        delta_for(model).content_hash,
        delta_for(model, seed=1).content_hash,
        delta_for(model, (1, 3)).content_hash,
        delta_for(other).content_hash,
        Delta.empty(model.fingerprint).content_hash,
    }
    assert len(different) == 5


def test_difference_is_the_update_that_gives_the_edited_weight(any_family: LanguageModel) -> None:
    name = any_family.family.mlp_out_name(1)
    stored = any_family.module.get_parameter(name).detach()
    edited = stored + 0.1 * torch.randn(stored.shape, generator=torch.Generator().manual_seed(2))
    change = Delta(any_family.fingerprint, {name: difference(any_family, name, edited)}).apply(any_family)
    torch.testing.assert_close(any_family.module.get_parameter(name).data, edited, rtol=1e-6, atol=1e-7)
    change.revert()


def test_inputs_of_the_lowest_block_are_unchanged_bit_for_bit(any_family: LanguageModel) -> None:
    batch = pad_right([(5, 6, 7, 8)], any_family.pad_id, any_family.device)
    delta = delta_for(any_family, (2, 1))
    assert delta.lowest_block(any_family) == 1
    before = [record_forward(any_family, batch, first).hidden for first in (1, 2)]
    with EditedModel(any_family, delta) as edited:
        assert edited.lowest_block == 1
        after = [record_forward(any_family, batch, first).hidden for first in (1, 2)]
    assert torch.equal(after[0], before[0])
    assert not torch.equal(after[1], before[1])


def test_an_empty_delta_begins_after_all_blocks_and_an_embedding_before_them() -> None:
    model = tiny_language_model("llama")
    assert Delta.empty(model.fingerprint).lowest_block(model) == model.n_layers
    embedding = Delta(model.fingerprint, {"model.embed_tokens.weight": Dense(torch.ones(1, 1))})
    assert embedding.lowest_block(model) == 0
    assert (embedding + delta_for(model, (2, 3))).lowest_block(model) == 0


SIZES = st.tuples(st.integers(1, 8), st.integers(1, 8))


@settings(max_examples=80, deadline=None)
@given(size=SIZES, ranks=st.tuples(st.integers(1, 6), st.integers(1, 6)), seed=st.integers(0, 10**6))
def test_sums_of_low_rank_updates_are_never_larger_than_dense_ones(
    size: tuple[int, int], ranks: tuple[int, int], seed: int
) -> None:
    first, second = low_rank(ranks[0], seed, size), low_rank(ranks[1], seed + 1, size)
    total = add_updates(first, second)
    torch.testing.assert_close(total.to_dense(), first.to_dense() + second.to_dense(), rtol=1e-5, atol=1e-5)
    if isinstance(total, LowRank):
        assert total.rank == sum(ranks)
        assert total.b.numel() + total.a.numel() < size[0] * size[1]
    else:
        assert total.values.shape == size
    mirrored = add_updates(second, first)
    torch.testing.assert_close(mirrored.to_dense(), total.to_dense(), rtol=1e-5, atol=1e-5)


def test_a_change_of_bfloat16_weights_needs_one_of_them_in_float64_at_a_time() -> None:
    made = tiny_language_model("llama")
    model = LanguageModel.wrap(made.module.to(torch.bfloat16), made.tokenizer, "tiny-llama")
    updates = {model.family.mlp_out_name(layer): low_rank(2, layer) for layer in (1, 2, 3)}
    with LiveTensors(WIDTH * KEY_WIDTH) as seen:
        applied = Delta(model.fingerprint, updates).apply(model)
    assert seen.most_bytes_per_entry == torch.float64.itemsize
    applied.revert()


def test_a_sum_of_dense_updates_needs_one_of_them_in_float64() -> None:
    first, second = (Dense(low_rank(WIDTH, seed).to_dense().float()) for seed in (0, 1))
    with LiveTensors(WIDTH * KEY_WIDTH) as seen:
        total = add_updates(first, second)
    assert seen.most_bytes_per_entry == torch.float64.itemsize + torch.float32.itemsize
    assert torch.equal(total.to_dense(), (first.to_dense() + second.to_dense()).float().double())
    assert torch.equal(first.values, low_rank(WIDTH, 0).to_dense().float())
